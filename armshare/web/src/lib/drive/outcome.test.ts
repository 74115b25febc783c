import { expect, test } from 'vitest'
import type { Episode, Score } from '../account/api'
import { outcome } from './outcome'

const EPISODE = { episode: 'e1', state: 'verified', reason: 'finished' } as Episode
const SCORE = { score: 0.873, accepted: true, pay: '3200', practice: null } as Score
const PRACTICE = { reason: 'not_qualified', sentence: '', passed: true, checks: [] } as const

const said = (episode: Partial<Episode>, score?: Partial<Score>) =>
  outcome({ ...EPISODE, ...episode }, score && ({ ...SCORE, ...score } as Score), 3, 'TOK')

test.each([
  ['accepted', {}, { state: 'Accepted', score: '87.3', pay: '+3.2 TOK', good: true }],
  ['accepted where nothing is paid', { pay: '0' }, { state: 'Accepted', score: '87.3', pay: 'not paid', good: false }],
  [
    'not accepted',
    { accepted: false, score: 0.1, pay: '0' },
    { state: 'Not accepted', score: '10.0', pay: 'not paid', good: false },
  ],
  [
    'practice',
    { practice: PRACTICE as unknown as Score['practice'], pay: '0' },
    { state: 'Practice', score: '87.3', pay: 'not paid', good: false },
  ],
])('a scored episode that is %s says so, and its score', (_, score, expected) => {
  expect(said({}, score)).toEqual(expected)
})

test.each([
  [{ state: 'verified' }, 'Being scored', ''],
  [{ state: 'uploaded' }, 'Not signed yet', ''],
  [{ state: 'held', reason: 'OutOfMemory: of a worker' }, 'Waiting to be checked: the hub ran out of memory', ''],
  [{ state: 'discarded' }, 'Discarded', 'not paid'],
  [{ state: 'rejected', reason: 'a gate' }, 'Rejected', 'not paid'],
  [{ state: 'rejected', reason: 'AGateOfANewerHub: words' }, 'Rejected', 'not paid'],
  [{ state: 'rejected', reason: 'MotionInvalid: it jumps' }, 'Rejected: this robot cannot make the motion that was recorded, so the drive does not count', 'not paid'],
  [{ state: 'rejected', reason: 'TicketMismatch: the seed' }, "Rejected: the robot's computer was refused by the hub", 'not paid'],
  [{ state: 'invalid', reason: 'operator_lost' }, 'Does not count: your connection was lost', 'not paid'],
])('an episode without a score says how it stands: %o', (episode, state, pay) => {
  expect(said(episode)).toEqual({ state, score: null, pay, good: false })
})
