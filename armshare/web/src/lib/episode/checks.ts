// What this page checks of an episode by itself, one after the other: each is passed, failed, or could not be checked here.

import { recoverTypedDataAddress, type Hex } from 'viem'
import type { Config, Episode } from '../account/api'
import { parse, statement } from '../account/manifest'
import { readReceipt, type Receipt } from '../account/receipts'
import { digest, type StatementName, typedData, type TypedData, type Values } from '../account/typed'
import { hash32, headSigned, included, type Inclusion, ProofError, readHead } from './proof'

export type Result = 'passed' | 'failed' | 'unchecked'

export interface Check {
  name: string
  result: Result
  says: string
}

/** What is asked of the hub. */
export interface Sources {
  manifest(episode: string): Promise<Uint8Array>
  signatures(episode: string): Promise<unknown>
  proof(index: number): Promise<Inclusion>
}

/** Check all that a browser can without the recording itself; nothing here throws. */
export async function checkAll(episode: Episode, config: Config, sources: Sources): Promise<Check[]> {
  const receipt = episode.receipt ? readReceipt(episode.receipt) : null
  return [
    await one('digest', () => digestOf(episode, config, sources)),
    await one('signatures', () => signed(episode, config, sources)),
    await one('receipt', () => receiptSigned(episode, config, receipt)),
    ...(await logged(episode, config, receipt, sources)),
  ]
}

async function one(name: string, check: () => Promise<string>): Promise<Check> {
  try {
    return { name, result: 'passed', says: await check() }
  } catch (error) {
    if (error instanceof ProofError) return { name, result: 'failed', says: error.message }
    console.info('armshare:', error)
    return { name, result: 'unchecked', says: 'The hub did not send what this needs. Try again later.' }
  }
}

function require(good: boolean, says: string): asserts good {
  if (!good) throw new ProofError(says)
}

const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()

/** What both signed, from the manifest's exact bytes. */
async function statedOf(episode: Episode, config: Config, sources: Sources): Promise<{ data: TypedData; manifest: ReturnType<typeof parse> }> {
  const bytes = await sources.manifest(episode.episode)
  const manifest = parse(bytes)
  return { manifest, data: typedData(config, 'Episode', statement(bytes, manifest)) }
}

async function digestOf(episode: Episode, config: Config, sources: Sources): Promise<string> {
  const { data, manifest } = await statedOf(episode, config, sources)
  require(manifest.episode === episode.episode && same(manifest.operator.address, episode.operator) && same(manifest.robot.address, episode.robot), 'The manifest is of another episode.')
  require(digest(data) === episode.digest, 'The manifest has another digest than the hub says.')
  return 'The digest of the manifest is the one that was signed and logged.'
}

async function signed(episode: Episode, config: Config, sources: Sources): Promise<string> {
  const [{ data, manifest }, found] = await Promise.all([statedOf(episode, config, sources), sources.signatures(episode.episode)])
  const { robot, operator } = (found ?? {}) as { robot?: unknown; operator?: unknown }
  require(await signedBy(data, robot, manifest.robot.address), 'The signature of the robot does not belong to this manifest.')
  require(await signedBy(data, operator, manifest.operator.session_key), 'The signature of the operator does not belong to this manifest.')
  return "The robot's key and the operator's session key signed this manifest."
}

async function signedBy(data: TypedData, signature: unknown, address: string): Promise<boolean> {
  if (typeof signature !== 'string' || !/^0x[0-9a-f]{130}$/.test(signature)) return false
  const found = await recoverTypedDataAddress({ ...data, signature: signature as Hex } as Parameters<typeof recoverTypedDataAddress>[0]).catch(() => '')
  return same(found, address)
}

async function receiptSigned(episode: Episode, config: Config, receipt: Receipt | null): Promise<string> {
  require(receipt !== null, 'The hub gave no receipt.')
  require(receipt.episode === episode.episode && receipt.digest === episode.digest, 'The receipt is for another episode.')
  require(same(receipt.hub, config.hub), 'The receipt is of another hub.')
  const values: Values = { episodeDigest: receipt.digest, receivedMs: BigInt(receipt.received_ms), logOrigin: receipt.log_origin, logIndex: BigInt(receipt.log_index) }
  const [name, said]: [StatementName, Values] = receipt.trust === undefined ? ['Receipt', values] : ['EpisodeReceipt', { ...values, trust: receipt.trust }]
  require(await signedBy(typedData(config, name, said), receipt.signature, config.hub), 'The hub has not signed this receipt.')
  return receipt.trust ? `The hub signed that it took the episode, as ${receipt.trust}.` : 'The hub signed that it took the episode.'
}

/** In the log as it was for the receipt, and in the log as it is now; and who signed its head. */
async function logged(episode: Episode, config: Config, receipt: Receipt | null, sources: Sources): Promise<Check[]> {
  const heads: string[] = []
  const inclusion = await one('inclusion', async () => {
    require(receipt !== null && episode.digest !== null, 'The hub gave no receipt.')
    const proof = await sources.proof(receipt.log_index)
    require(proof.index === receipt.log_index, 'The proof is of another entry.')
    const head = await included(hash32(episode.digest), proof)
    heads.push(proof.checkpoint)
    return `It is entry ${proof.index + 1} of ${head.size} in the public log “${head.origin}”.`
  })
  const checkpoint: Check = heads[0] === undefined ? { name: 'checkpoint', result: 'unchecked', says: 'Without a proof there is no head of the log to check.' } : await headCheck(heads[0], config)
  return [inclusion, checkpoint]
}

async function headCheck(note: string, config: Config): Promise<Check> {
  try {
    const good = await headSigned(readHead(note), config.log_public_key)
    if (good === null) return { name: 'checkpoint', result: 'unchecked', says: 'This browser cannot check Ed25519 signatures; the command line can.' }
    return { name: 'checkpoint', result: good ? 'passed' : 'failed', says: good ? "The log's key signed this head of the log." : "The head of the log is not signed by the log's key." }
  } catch (error) {
    return { name: 'checkpoint', result: 'failed', says: error instanceof ProofError ? error.message : 'The head of the log cannot be read.' }
  }
}
