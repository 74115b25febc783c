import { expect, test, vi } from 'vitest'
import type { Account } from '../account/account.svelte'
import { ApiError, type Config } from '../account/api'
import type { seal, Verdict } from '../account/finish'
import type { Wallet } from '../account/wallet'
import { CommandsError } from '../commands/check'
import { PlainError, troubleOf } from '../trouble'
import { type Driven, Handing } from './handing.svelte'

vi.spyOn(console, 'info').mockImplementation(() => undefined)

const KEY = { address: '0xS' } as Wallet
const LIFTED: Driven = { episode: 'e1', robot: '0xR', task: 'lift', key: async () => KEY }

interface Answer {
  resolve(verdict: Verdict): void
  reject(error: unknown): void
}

/** A visit whose episodes are handed in one by one, each as this test answers it. */
function visit(driven: Driven | null = LIFTED, qualified = true) {
  const asked: { episode: string; agreed: boolean; told: Parameters<typeof seal>[5]; answer: Answer }[] = []
  const discarded: string[] = []
  const refreshed = vi.fn(async () => undefined)
  const account = {
    config: {} as Config,
    wallet: { address: '0xA' },
    operator: { qualified },
    api: { discard: async (episode: string) => void discarded.push(episode) },
    renewed: <T>(work: () => Promise<T>) => work(),
    refreshBalance: refreshed,
    refreshOperator: refreshed,
  } as unknown as Account
  const of = { driven }
  const sealing: typeof seal = (_api, _config, _key, ours, { agreed }, told) =>
    new Promise((resolve, reject) => asked.push({ episode: ours.episode, agreed, told, answer: { resolve, reject } }))
  const forgotten: string[] = []
  const sent = { of: () => [], forget: (episode: string) => void forgotten.push(episode) }
  const handing = new Handing(account, () => of.driven, sent, sealing)
  return { handing, asked, discarded, forgotten, refreshed, of }
}

const settled = () => new Promise((resolve) => setTimeout(resolve))
const verdict = (score: number) => ({ score: { score } }) as Verdict

test('an episode is handed in, and what comes of it is told as it comes', async () => {
  const { handing, asked, refreshed } = visit()
  const done = handing.handIn(performance.now() - 1000)
  await settled()
  asked[0]?.told('scoring')
  expect(handing).toMatchObject({ finishing: 'scoring', verdict: null, refusal: null })
  asked[0]?.answer.resolve(verdict(0.9))
  await done
  expect(handing.verdict?.score.score).toBe(0.9)
  expect(handing.sealedMs).toBeGreaterThanOrEqual(1000)
  expect(refreshed).toHaveBeenCalledTimes(2)
})

test('what is refused is told, and the same episode is handed in again', async () => {
  const { handing, asked } = visit()
  const done = handing.handIn()
  await settled()
  asked[0]?.answer.reject(new ApiError('refused', 'expected another manifest', 409))
  await done
  expect(handing.refusal?.code).toBe('refused')
  handing.retryRefused()
  expect(handing.refusal).toBeNull()
  await settled()
  asked[1]?.answer.resolve(verdict(0.8))
  await settled()
  expect(asked.map(({ episode }) => episode)).toEqual(['e1', 'e1'])
  expect(handing.verdict?.score.score).toBe(0.8)
})

test('an episode whose key cannot be had is not signed, and its wallet is asked again', async () => {
  let agrees = false
  const key = async () => {
    if (!agrees) throw new PlainError('Your wallet did not agree.')
    return KEY
  }
  const { handing, asked } = visit({ ...LIFTED, key })
  const done = handing.handIn()
  expect(handing.finishing).toBeNull()
  await settled()
  await done
  expect(asked).toEqual([])
  expect(handing).toMatchObject({ finishing: 'asking', refusal: { says: 'Your wallet did not agree.' } })
  agrees = true
  handing.retryRefused()
  await settled()
  expect(asked.map(({ episode }) => episode)).toEqual(['e1'])
})

test('the verdict on the last drive is told beside the next one, and changes nothing of it', async () => {
  const { handing, asked, of } = visit()
  const first = handing.handIn()
  await settled()
  handing.next()
  of.driven = { ...LIFTED, episode: 'e2' }
  asked[0]?.told('scoring')
  expect(handing.finishing).toBeNull()
  asked[0]?.answer.resolve(verdict(0.7))
  await first
  expect(handing.before?.verdict?.score.score).toBe(0.7)
  expect(handing.verdict).toBeNull()
  expect(handing.sealedMs).toBeNull()
})

test('episodes are handed in one after another', async () => {
  const { handing, asked, of } = visit()
  void handing.handIn()
  await settled()
  handing.next()
  of.driven = { ...LIFTED, episode: 'e2' }
  void handing.handIn()
  await settled()
  expect(asked.map(({ episode }) => episode)).toEqual(['e1'])
  asked[0]?.answer.reject(new ApiError('refused', 'no', 409))
  await settled()
  expect(asked.map(({ episode }) => episode)).toEqual(['e1', 'e2'])
  expect(handing.before?.refusal?.code).toBe('refused')
})

test('what was refused of the last drive is done again beside the next one', async () => {
  const { handing, asked } = visit()
  const first = handing.handIn()
  await settled()
  handing.next()
  asked[0]?.answer.reject(new ApiError('refused', 'no', 409))
  await first
  handing.before?.retry?.()
  expect(handing.before).toBeNull()
  await settled()
  asked[1]?.answer.resolve(verdict(0.6))
  await settled()
  expect(handing.before).toMatchObject({ verdict: { score: { score: 0.6 } }, refusal: null })
})

test('an episode that is looked at first can be discarded', async () => {
  const { handing, discarded, forgotten } = visit()
  handing.reviewing = true
  await handing.discard()
  expect([discarded, forgotten]).toEqual([['e1'], ['e1']])
  expect(handing).toMatchObject({ reviewing: false, discarded: true, refusal: null })
  handing.next()
  expect(handing.discarded).toBe(false)
})

test('nothing is handed in or discarded if no episode has ended', async () => {
  const { handing, asked, discarded } = visit(null)
  await handing.handIn()
  await handing.discard()
  expect([asked, discarded]).toEqual([[], []])
})

test('the next drive waits for who looks at the last one, and for who is not paid yet', () => {
  expect(visit().handing.waiting).toBe(false)
  expect(visit(LIFTED, false).handing.waiting).toBe(true)
  const { handing } = visit()
  handing.reviewing = true
  expect(handing.waiting).toBe(true)
})

const UNSEEN = new CommandsError('commands_unseen', 'e1 was not sent from here')

test('what cannot be checked is signed only if its operator says so, and a plain new try does not say it', async () => {
  const { handing, asked } = visit()
  const done = handing.handIn()
  await settled()
  asked[0]?.answer.reject(UNSEEN)
  await done
  expect(handing.refusal).toMatchObject({ code: 'commands_unseen', todo: 'sign_anyway' })
  handing.retryRefused()
  await settled()
  asked[1]?.answer.reject(UNSEEN)
  await settled()
  handing.retryRefused(true)
  await settled()
  asked[2]?.answer.resolve(verdict(0.5))
  await settled()
  expect(asked.map(({ agreed }) => agreed)).toEqual([false, false, true])
  expect(handing.verdict?.score.score).toBe(0.5)
})

test('the same of the last drive, beside the next one', async () => {
  const { handing, asked } = visit()
  const first = handing.handIn()
  await settled()
  handing.next()
  asked[0]?.answer.reject(UNSEEN)
  await first
  handing.before?.sign?.()
  await settled()
  expect(asked.map(({ agreed }) => agreed)).toEqual([false, true])
})

test('a drive that has not ended can be discarded', async () => {
  const { handing, discarded } = visit(null)
  await handing.discard('e7')
  expect(discarded).toEqual(['e7'])
  expect(handing.discarded).toBe(true)
})

test('a drive in which the robot obeyed others is not handed in', () => {
  const { handing, asked } = visit()
  handing.refuse(troubleOf({ code: 'other_commands' }))
  expect(handing.refusal?.says).toContain('a command that you did not send')
  expect(asked).toEqual([])
})
