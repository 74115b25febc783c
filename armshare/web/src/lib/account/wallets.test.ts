import { expect, test } from 'vitest'
import { storage } from '../storage.testing'
import { keyWallet, makeKey } from './wallet'
import { backupOf, keyOf, readBackup, requireBackup, Wallets } from './wallets'

/** A page's cookies, as a browser keeps them. */
class Page {
  #jar = new Map<string, string>()
  get cookie(): string {
    return [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ')
  }
  set cookie(set: string) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(set) as unknown as [string, string, string]
    this.#jar.set(name, value)
  }
}

const of = (key: string) => keyWallet(keyOf(key)).address

test('wallets are kept side by side, and none is written over another', () => {
  const store = storage()
  const [first, second] = [makeKey(), makeKey()]
  const wallets = new Wallets(store, new Page(), () => 7)
  wallets.add(first)
  wallets.add(second.slice(2))
  wallets.add(first)
  expect(new Wallets(store, new Page()).list()).toEqual([
    { key: first, address: of(first), madeMs: 7, savedMs: null },
    { key: second, address: of(second), madeMs: 7, savedMs: null },
  ])
})

test('the one key of an earlier version of this page is taken over', () => {
  const store = storage()
  const [old, other] = [makeKey(), makeKey()]
  store.setItem('armshare.key', old)
  const wallets = new Wallets(store, new Page())
  expect(wallets.add(other).address).toBe(of(other))
  expect(wallets.list().map((each) => each.address)).toEqual([of(old), of(other)])
  expect(store.getItem('armshare.key')).toBeNull()
})

test('what cannot be read is set aside, since it may hold a key', () => {
  for (const broken of ['[{"key":"0x12', '{"key":1}', '[null]', '[{"key":"0x12","address":"0xA"}]']) {
    const store = storage()
    store.setItem('armshare.wallets', broken)
    const wallets = new Wallets(store, new Page())
    wallets.add(makeKey())
    expect(wallets.list()).toHaveLength(1)
    expect([...store.kept.values()]).toContain(broken)
  }
})

test('a wallet is saved once its backup has been read back', () => {
  const wallets = new Wallets(storage(), new Page(), () => 42)
  const { address, key } = wallets.add(makeKey())
  const { name, text } = backupOf({ key, address })
  expect(name).toContain(address.slice(0, 10))
  expect(readBackup(text)).toBe(key)
  requireBackup(text, address)
  wallets.saved(address)
  expect(wallets.find(address)?.savedMs).toBe(42)
})

test('only the backup of this very wallet counts as read back', () => {
  const [mine, other] = [makeKey(), makeKey()].map((key) => ({ key: keyOf(key), address: of(key) }))
  if (!mine || !other) throw new Error('two wallets were made')
  requireBackup(mine.key, mine.address)
  expect(() => requireBackup(backupOf(other).text, mine.address)).toThrow('backup of another wallet')
  const mixed = JSON.stringify({ ...JSON.parse(backupOf(mine).text), private_key: other.key })
  for (const text of ['', '{}', 'photo', backupOf(mine).text.slice(0, 90), mixed])
    expect(() => requireBackup(text, mine.address)).toThrow('not a wallet backup')
})

test('after the storage was cleared, the page knows which wallets are lost, until one is back or given up', () => {
  const [store, page] = [storage(), new Page()]
  const [first, second] = [makeKey(), makeKey()]
  const wallets = new Wallets(store, page)
  wallets.add(first)
  wallets.add(second)
  expect(wallets.lost()).toEqual([])
  store.clear()
  expect(wallets.lost()).toEqual([of(first), of(second)])
  wallets.add(first)
  expect(wallets.lost()).toEqual([of(second)])
  wallets.forgetLost(of(second))
  expect(wallets.lost()).toEqual([])
})

test('a wallet that its person removed is not called lost', () => {
  const wallets = new Wallets(storage(), new Page())
  const { address } = wallets.add(makeKey())
  wallets.remove(address)
  expect(wallets.list()).toEqual([])
  expect(wallets.lost()).toEqual([])
})

test.each(['', '0x12', 'g'.repeat(64), '0x' + '0'.repeat(65)])('%s is no key, and adds nothing', (text) => {
  const wallets = new Wallets(storage(), new Page())
  expect(() => wallets.add(text)).toThrow('64 hexadecimal digits')
  expect(() => wallets.add('0'.repeat(64))).toThrow('not a private key')
  expect(wallets.list()).toEqual([])
})
