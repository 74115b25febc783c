// From the end of an episode to its score: wait until all of it has arrived, however long that takes, check the manifest,
// sign its digest, wait for the verdict.

import { type Api, ApiError, type Arrival, type Config, type Episode, type Score } from './api'
import { checkCommands } from '../commands/check'
import type { SentCommands } from '../commands/sent'
import { HeldError } from './held'
import { readManifest, statement, type Manifest, type Ours } from './manifest'
import { patiently } from './patience'
import { keepReceipt, readReceipt, type Receipt } from './receipts'
import { digest, typedData } from './typed'
import type { Wallet } from './wallet'

export type FinishState = 'asking' | 'sealing' | 'checking' | 'verifying' | 'scoring' | 'done'

/** How long the hub waits for all of an episode before it says how much has arrived. */
const ARRIVAL_S = 2
const COMING = ['recording', 'sealed']
const HERE = ['uploaded', 'held', 'verified']

export interface Verdict {
  manifest: Manifest
  manifestSha256: string
  digest: string
  episode: Episode
  receipt: Receipt
  score: Score
}

/** What this browser sent, against which a manifest is checked; `agreed`: its operator drove the rest elsewhere, and says so. */
export interface Ledgers {
  sent: Pick<SentCommands, 'of' | 'forget'>
  agreed: boolean
}

export async function seal(
  api: Api,
  config: Config,
  session: Wallet,
  ours: Ours,
  { sent, agreed }: Ledgers,
  at: (state: FinishState, arrival?: Arrival) => void,
): Promise<Verdict> {
  at('sealing')
  const bytes = await arrived(api, ours.episode, (arrival) => at('sealing', arrival))
  at('checking')
  const manifest = readManifest(bytes, ours)
  checkCommands(manifest, sent.of(ours.episode), agreed)
  const values = statement(bytes, manifest)
  const data = typedData(config, 'Episode', values)
  const signature = await session.signTyped(data)
  at('verifying')
  const episode = await patiently(() => api.sign(ours.episode, signature))
  sent.forget(ours.episode)
  if (episode.state === 'held') throw new HeldError(episode.reason)
  const receipt = readReceipt(episode.receipt)
  keepReceipt({ receipt, manifestSha256: values.manifestSha256, task: ours.task, robot: ours.robot })
  at('scoring')
  const score = await patiently(() => api.score(ours.episode), (error) => error.code === 'not_scored')
  at('done')
  return { manifest, manifestSha256: values.manifestSha256, digest: digest(data), episode, receipt, score }
}

/** The manifest, once the robot's computer has sent all of the episode. Told how much has arrived while it waits. */
export async function arrived(
  api: Pick<Api, 'manifest' | 'arrival'>,
  episode: string,
  tell: (arrival: Arrival) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  for (;;) {
    const arrival = await patiently(() => api.arrival(episode, ARRIVAL_S))
    if (HERE.includes(arrival.state)) return patiently(() => api.manifest(episode))
    if (arrival.state === 'rejected') throw refused(arrival)
    if (!COMING.includes(arrival.state)) throw new ApiError('episode_state', `${episode} is ${arrival.state}`, 409)
    tell(arrival)
  }
}

/** The hub refused what the robot's computer sent, by a gate that its reason begins with: nothing more comes. */
function refused({ episode, reason }: Arrival): ApiError {
  const [gate, ...why] = (reason ?? 'refused').split(': ')
  return new ApiError(gate ?? 'refused', why.join(': ') || `${episode} was refused`, 422)
}
