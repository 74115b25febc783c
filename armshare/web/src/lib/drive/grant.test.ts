import { expect, test } from 'vitest'
import { recoverTypedDataAddress, type Hex } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import type { Config } from '../account/api'
import { sessionKey } from '../account/sessionkey'
import { typedData } from '../account/typed'
import { keyWallet } from '../account/wallet'
import { grantFor } from './grant'

const CONFIG = { chain_id: 31337, vault: '0x5FbDB2315678afecb367f032d93F642f64180aa3' } as Config
const OF = { robot: keyWallet(generatePrivateKey()).address, task: 'lift', nonce: `0x${'07'.repeat(32)}` }

test('the wallet signs for the key that it makes of the nonce, for this robot and task, and for half a day', async () => {
  const wallet = keyWallet(generatePrivateKey())
  const { grant, signature, key } = await grantFor(CONFIG, wallet, OF)
  expect(grant).toMatchObject({ ...OF, operator: wallet.address, sessionKey: key.address })
  expect(key.address).toBe((await sessionKey(CONFIG, wallet, OF.nonce)).address)
  const hours = (grant.notAfterMs - Date.now()) / 3_600_000
  expect(hours).toBeGreaterThan(11.9)
  expect(hours).toBeLessThanOrEqual(12)
  const data = typedData(CONFIG, 'SessionGrant', { ...grant, notAfterMs: BigInt(grant.notAfterMs) })
  expect(await recoverTypedDataAddress({ ...data, signature: signature as Hex })).toBe(wallet.address)
})
