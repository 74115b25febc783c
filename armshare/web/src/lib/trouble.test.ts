import { expect, test, vi } from 'vitest'
import http from '../../../../docs/http.md?raw'
import protocol from '../../../../teleop/PROTOCOL.md?raw'
import { ApiError } from './account/api'
import { ManifestError } from './account/manifest'
import { WalletError } from './account/wallet'
import { CommandsError } from './commands/check'
import { SessionError } from './drive/session'
import { PlainError, TODO, troubleOf } from './trouble'

vi.spyOn(console, 'info').mockImplementation(() => undefined)

const sources = Object.values(
  import.meta.glob<string>('../../../../{teleop,recorder,rewards,armshare}/**/*.py', { eager: true, query: '?raw', import: 'default' }),
).join('\n')

const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map((found) => found[1] as string)
const quoted = (text: string, from: RegExp): string[] => all(from.exec(text)?.[1] ?? '', /`(\w+)`/g)

const SAID_TO_PROGRAMS = 'expected a, got b; GET /api/x lists them'

/** Of each place where the hub says no: how the code stands there, and how many there are at least. */
const SAID: [string, string[], number][] = [
  ['PROTOCOL.md', quoted(protocol, /\bCodes:\s([^]*?)\. /), 10],
  ['docs/http.md', all(http, /^\| `(\w+)` \| \d{3}/gm), 15],
  ['a route', all(sources, /ApiError\(\s*\d+,\s*"(\w+)"/g), 10],
  ['an answer', all(sources, /answer\(\s*\d+,\s*"(\w+)"/g), 2],
  ['a text frame', all(sources, /(?:SignallingError|signalling\.error)\(\s*"(\w+)"/g), 20],
  ["the recorder's table of errors", all(sources, /^ {4}(?!GateError)(\w+?)(?:Error)?: \d{3},$/gm), 15],
  ['a gate', all(sources, /^class (\w+)\(GateError\)/gm), 15],
]

test.each(SAID)('a person is told something of every code in %s', (_, codes, atLeast) => {
  expect(codes.length).toBeGreaterThanOrEqual(atLeast)
  const unknown = troubleOf(null).says
  expect([...new Set(codes)].filter((code) => troubleOf(new ApiError(code, SAID_TO_PROGRAMS, 422)).says === unknown)).toEqual([])
})

test.each(SAID)('what is told of a code in %s is a sentence or two in plain words, with something to do', (_, codes) => {
  for (const code of codes) {
    const { says, todo } = troubleOf(new ApiError(code, SAID_TO_PROGRAMS, 422))
    expect(says).toMatch(/^[A-Z].*\.$/)
    expect(says).not.toMatch(/\b(expected|got|GET|POST|API|HTTP|JSON|[a-z]+_[a-z]+)\b|\/api/)
    expect(TODO[todo]).toBeTruthy()
  }
})

test.each([
  [new ApiError('UnknownRobot', SAID_TO_PROGRAMS, 404), 'lobby'],
  [new ApiError('unknown_robot', SAID_TO_PROGRAMS, 404), 'lobby'],
  [{ code: 'auth', message: 'expected a token' }, 'sign_in'],
  [new ApiError('http_401', SAID_TO_PROGRAMS, 401), 'sign_in'],
  [new ApiError('http_503', SAID_TO_PROGRAMS, 503), 'try_again'],
  [new ApiError('http_418', SAID_TO_PROGRAMS, 418), 'reload'],
  [new SessionError('"ready" belongs to the state resetting'), 'reload'],
  [new ManifestError('expected episode 1, it says 2'), 'lobby'],
  [new CommandsError('other_commands', 'e1 is not signed'), 'lobby'],
  [new CommandsError('commands_differ', 'e1 is not signed'), 'lobby'],
  [new CommandsError('commands_missing', 'e1 is not signed'), 'lobby'],
  [new CommandsError('commands_unseen', 'e1 is not signed'), 'sign_anyway'],
  [new TypeError('undefined is not a function'), 'reload'],
  ['a string', 'reload'],
  [null, 'reload'],
])('%s leads to the button %s, and its own words are not shown', (error, todo) => {
  const trouble = troubleOf(error)
  expect(trouble.todo).toBe(todo)
  if (error instanceof Error) expect(trouble.says).not.toContain(error.message)
})

test('an error that was written for people tells itself', () => {
  expect(troubleOf(new PlainError('Unplug it.', 'reload'))).toEqual({ code: 'plain', says: 'Unplug it.', todo: 'reload' })
  expect(troubleOf(new WalletError('The wallet shared no account.')).says).toBe('The wallet shared no account.')
})
