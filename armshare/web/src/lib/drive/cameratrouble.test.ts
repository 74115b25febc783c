import { expect, test, vi } from 'vitest'
import golden from '../../../../../tests/teleop/golden_camera_troubles.json'
import { type CameraTrouble, lasting, taken, troubleSays } from './cameratrouble'
import { PERSON, Session } from './session'

vi.spyOn(console, 'info').mockImplementation(() => undefined)

const LOST = golden[0]?.message as CameraTrouble
const ROBOT = { name: 'arm-1', control_hz: 20 }

function driving() {
  const session = new Session(
    () => undefined,
    () => undefined,
  )
  const hear = (message: object) => session.received(JSON.stringify(message))
  session.opened(2, 'token')
  hear({ type: 'welcome', protocol: 2, address: '0xA', nonce: '0x01' })
  session.join({ operator: '0xA', sessionKey: '0xS', robot: '0xR', task: 'lift', nonce: '0x01', notAfterMs: 1 }, '0xsig')
  hear({ type: 'granted', lease: 'l', epoch: 7, robot: ROBOT, task: null })
  session.begin()
  hear({ type: 'ready', episode: 'e1', seed: 3, task: null })
  return { session, hear }
}

const says = (session: Session) => session.view.cameraTroubles.map(troubleSays)

test.each(golden)('a camera is named, in plain words: $says', ({ message, says }) => {
  expect(troubleSays(message as CameraTrouble)).toBe(says)
})

test('who drives is told of a camera that fails, for as long as that lasts', () => {
  const { session, hear } = driving()
  hear(LOST)
  expect(lasting(session.view.cameraTroubles).map(troubleSays)).toEqual([
    "The camera 'wrist' has stopped: its pictures are missing from 0:12 on.",
  ])
  expect(session.view).toMatchObject({ phase: 'live', fault: null })
  hear({ ...LOST, until_s: 15 })
  expect(lasting(session.view.cameraTroubles)).toEqual([])
})

test('what became of it is told after the drive, also what the robot knew only then', () => {
  const { session, hear } = driving()
  hear(LOST)
  session.finish()
  hear({ type: 'ended', episode: 'e1', steps: 40, success: true, valid: true, reason: 'finished' })
  hear({ ...LOST, until_s: 15 })
  hear({ ...LOST, trouble: 'black', from_s: 2, until_s: 3 })
  expect(session.view.phase).toBe('ended')
  expect(says(session)).toEqual([
    "The camera 'wrist' had stopped: its pictures are missing from 0:12 to 0:15.",
    "The camera 'wrist' was black from 0:02 to 0:03.",
  ])
})

test('the next drive begins with nothing wrong, and the trouble of another is not told', () => {
  const { session, hear } = driving()
  hear(LOST)
  session.finish()
  hear({ type: 'ended', episode: 'e1', steps: 40, success: true, valid: true, reason: 'finished' })
  session.begin()
  hear({ type: 'ready', episode: 'e2', seed: 4, task: null })
  hear(LOST)
  expect(says(session)).toEqual([])
})

test('who comes back is told again', () => {
  const session = new Session(
    () => undefined,
    () => undefined,
  )
  const hear = (message: object) => session.received(JSON.stringify(message))
  session.opened(2, 'token')
  hear({ type: 'welcome', protocol: 2, address: '0xA', nonce: '0x01' })
  session.resume('l')
  hear({ type: 'resumed', lease: 'l', epoch: 8, episode: 'e1', steps: 31, seq: 40, robot: ROBOT, task: null, driver: PERSON })
  hear(LOST)
  expect(says(session)).toHaveLength(1)
})

test('what is new of a camera takes the place of what was told of it before, and of nothing else', () => {
  const [again, black] = [{ ...LOST, times: 2, from_s: 30 }, { ...LOST, trouble: 'black' as const }]
  expect([LOST, black, again].reduce<CameraTrouble[]>(taken, [])).toEqual([again, black])
})
