// EIP-712 statements that this page signs, built from the rooms' own `typed_data.json` files.

import { hashTypedData, type Hex, type TypedDataDomain } from 'viem'
import teleop from '../../../../../teleop/typed_data.json'
import recorder from '../../../../../recorder/typed_data.json'
import rewards from '../../../../../rewards/typed_data.json'

const STATEMENTS = { ...teleop, ...recorder, ...rewards }

export type StatementName = keyof typeof STATEMENTS
export type Value = string | bigint | boolean
export type Values = Record<string, Value>

export interface TypedData {
  domain: TypedDataDomain
  types: Record<string, { name: string; type: string }[]>
  primaryType: StatementName
  message: Values
}

/** Where a statement counts: one chain and one reward vault. */
export interface DomainOf {
  chain_id: number
  vault: string
}

/** The values do not fit the statement. */
export class StatementError extends Error {
  override name = 'StatementError'
}

export function typedData(domain: DomainOf, name: StatementName, message: Values): TypedData {
  const fields = STATEMENTS[name]
  const expected = fields.map((field) => field.name)
  const got = Object.keys(message)
  if (expected.length !== got.length || !expected.every((field) => field in message))
    throw new StatementError(`${name}: expected the fields ${expected}, got ${got}`)
  return {
    domain: { name: 'armshare', version: '1', chainId: domain.chain_id, verifyingContract: domain.vault as Hex },
    types: { [name]: fields },
    primaryType: name,
    message,
  }
}

/** The digest that is signed. */
export const digest = (data: TypedData): Hex => hashTypedData(data)

const DOMAIN_TYPE = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
]

/** The JSON that a wallet's `eth_signTypedData_v4` takes: the domain's type is spelled out, integers are decimal. */
export const walletJson = (data: TypedData): string =>
  JSON.stringify({ ...data, types: { EIP712Domain: DOMAIN_TYPE, ...data.types } }, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
