// What an operator's wallet signs so that this page may drive: for one robot and task, over the nonce of its connection.

import type { Config } from '../account/api'
import { sessionKey } from '../account/sessionkey'
import { typedData } from '../account/typed'
import type { Wallet } from '../account/wallet'
import type { Grant } from '../link/signalling'

const GRANT_MS = 12 * 3600 * 1000

export interface Granted {
  grant: Grant
  signature: string
  /** Signs the episodes that are driven under it. */
  key: Wallet
}

export async function grantFor(config: Config, wallet: Wallet, of: Pick<Grant, 'robot' | 'task' | 'nonce'>): Promise<Granted> {
  const key = await sessionKey(config, wallet, of.nonce)
  const grant = { operator: wallet.address, sessionKey: key.address, ...of, notAfterMs: Date.now() + GRANT_MS }
  const data = typedData(config, 'SessionGrant', { ...grant, notAfterMs: BigInt(grant.notAfterMs) })
  return { grant, signature: await wallet.signTyped(data), key }
}
