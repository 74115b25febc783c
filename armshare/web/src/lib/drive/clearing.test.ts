import { expect, test } from 'vitest'
import { recoverTypedDataAddress, type Hex } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import type { Config } from '../account/api'
import { typedData } from '../account/typed'
import { keyWallet } from '../account/wallet'
import { signClear } from './clearing'

const config = { chain_id: 31337, vault: '0x5FbDB2315678afecb367f032d93F642f64180aa3' } as Config
const ROBOT = keyWallet(generatePrivateKey()).address
const STOP = `0x${'05'.repeat(32)}`

test('the wallet in use signs for this robot and this stop', async () => {
  const wallet = keyWallet(generatePrivateKey())
  const signature = (await signClear({ config, wallet }, ROBOT, STOP)) as Hex
  const data = (stop: string) => typedData(config, 'ClearRobot', { robot: ROBOT, stop })
  expect(await recoverTypedDataAddress({ ...data(STOP), signature })).toBe(wallet.address)
  expect(await recoverTypedDataAddress({ ...data(`0x${'06'.repeat(32)}`), signature })).not.toBe(wallet.address)
})

test('who is not signed in is told so', async () => {
  await expect(signClear({ config, wallet: null }, ROBOT, STOP)).rejects.toThrow('You are not signed in.')
})
