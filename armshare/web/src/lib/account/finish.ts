// From the end of an episode to its score: fetch the manifest, check it, sign its digest, wait for the verdict.

import type { Api, Config, Episode, Score } from './api'
import { readManifest, statement, type Manifest, type Ours } from './manifest'
import { keepReceipt, readReceipt, type Receipt } from './receipts'
import { digest, typedData } from './typed'
import type { Wallet } from './wallet'

export type FinishState = 'sealing' | 'checking' | 'verifying' | 'scoring' | 'done'

export interface Verdict {
  manifest: Manifest
  manifestSha256: string
  digest: string
  episode: Episode
  receipt: Receipt
  score: Score
}

export async function seal(
  api: Api,
  config: Config,
  session: Wallet,
  ours: Ours,
  at: (state: FinishState) => void,
): Promise<Verdict> {
  at('sealing')
  const bytes = await api.manifest(ours.episode)
  at('checking')
  const manifest = readManifest(bytes, ours)
  const values = statement(bytes, manifest)
  const data = typedData(config, 'Episode', values)
  const signature = await session.signTyped(data)
  at('verifying')
  const episode = await api.sign(ours.episode, signature)
  const receipt = readReceipt(episode.receipt)
  keepReceipt({ receipt, manifestSha256: values.manifestSha256, task: ours.task, robot: ours.robot })
  at('scoring')
  const score = await api.score(ours.episode)
  at('done')
  return { manifest, manifestSha256: values.manifestSha256, digest: digest(data), episode, receipt, score }
}
