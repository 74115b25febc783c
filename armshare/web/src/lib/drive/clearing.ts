// What a robot's owner signs so that its host releases it: the name of what is latched there. No hub can make it up, and
// it releases nothing that is latched later.

import type { Account } from '../account/account.svelte'
import { typedData } from '../account/typed'
import { PlainError } from '../trouble'

export async function signClear({ config, wallet }: Pick<Account, 'config' | 'wallet'>, robot: string, stop: string): Promise<string> {
  if (!config || !wallet) throw new PlainError('You are not signed in. Sign in as the owner of this robot, then clear it.', 'sign_in')
  return wallet.signTyped(typedData(config, 'ClearRobot', { robot, stop }))
}
