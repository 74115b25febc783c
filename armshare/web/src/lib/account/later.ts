// Signing an episode that was driven earlier, by another page or in a terminal: the session key that drove it is gone, and
// the wallet that granted it makes it again (`docs/decisions/0026-between-finish-and-receipt.md`).

import { type Hex, recoverTypedDataAddress } from 'viem'
import { checkCommands } from '../commands/check'
import type { Api, Config, Unsigned } from './api'
import type { Ledgers } from './finish'
import { HeldError } from './held'
import { ManifestError, parse, readManifest, statement, type Manifest } from './manifest'
import { patiently } from './patience'
import { keepReceipt, readReceipt } from './receipts'
import { sessionKeyAgain } from './sessionkey'
import { typedData } from './typed'
import type { Wallet } from './wallet'

type Hub = Pick<Api, 'manifest' | 'sign'>

/** Check that the wallet granted this drive and that it is what was sent, and sign it; the hub's receipt is kept. */
export async function signLater(api: Hub, config: Config, wallet: Wallet, unsigned: Unsigned, { sent, agreed }: Ledgers): Promise<void> {
  const { episode, robot, task } = unsigned
  const bytes = await patiently(() => api.manifest(episode))
  const grant = await ownGrant(config, wallet, parse(bytes), unsigned)
  const manifest = readManifest(bytes, { episode, operator: wallet.address, sessionKey: grant.sessionKey, robot, task })
  checkCommands(manifest, sent.of(episode), agreed)
  const key = await sessionKeyAgain(config, wallet, grant.nonce, grant.sessionKey)
  const values = statement(bytes, manifest)
  const signature = await key.signTyped(typedData(config, 'Episode', values))
  const signed = await patiently(() => api.sign(episode, signature))
  sent.forget(episode)
  if (signed.state === 'held') throw new HeldError(signed.reason)
  keepReceipt({ receipt: readReceipt(signed.receipt), manifestSha256: values.manifestSha256, task, robot })
}

/** The grant in a manifest; a ManifestError unless this wallet signed it, for this robot and task. */
async function ownGrant(config: Config, wallet: Wallet, said: Partial<Manifest> | null, unsigned: Unsigned): Promise<Manifest['grant']['values']> {
  const values = said?.grant?.values
  const ours = { operator: wallet.address, robot: unsigned.robot, task: unsigned.task }
  const signer = await signerOf(config, said?.grant).catch(() => null)
  if (!values || signer !== wallet.address)
    throw new ManifestError(`The manifest is not signed: ${wallet.address} did not grant this drive.`)
  for (const name of Object.keys(ours) as (keyof typeof ours)[])
    if (values[name] !== ours[name])
      throw new ManifestError(`The manifest is not signed: the grant is for ${name} ${values[name]}, not ${ours[name]}.`)
  return values
}

async function signerOf(config: Config, grant: Manifest['grant'] | undefined): Promise<string | null> {
  if (!grant) return null
  const data = typedData(config, 'SessionGrant', { ...grant.values, notAfterMs: BigInt(grant.values.notAfterMs) })
  return recoverTypedDataAddress({ ...data, signature: grant.signature as Hex })
}
