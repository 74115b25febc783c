// What became of an episode, in a line: how it stands, its score, and its pay or why there is none.

import type { Episode, Score } from '../account/api'
import { heldState } from '../account/held'
import { amount, ending, paid, words } from '../format'
import { saysOf } from '../trouble'

export interface Outcome {
  state: string
  /** "87.3", of 100. */
  score: string | null
  pay: string
  good: boolean
}

const COMING: Record<string, string> = {
  recording: 'On its way to the hub',
  sealed: 'On its way to the hub',
  uploaded: 'Not signed yet',
  verified: 'Being scored',
}

/** `score` if it is known; only a verified episode has one. */
export function outcome(episode: Episode, score: Score | undefined, decimals: number, symbol: string): Outcome {
  const coming = episode.state === 'held' ? heldState(episode.reason) : COMING[episode.state]
  if (!score) return { state: coming ?? closed(episode), score: null, pay: coming ? '' : 'not paid', good: false }
  const good = score.accepted && paid(score.pay)
  const state = score.practice ? 'Practice' : !score.accepted ? 'Not accepted' : score.awaiting_review ? 'Awaiting review' : 'Accepted'
  const pay = good ? `+${amount(score.pay, decimals)} ${symbol}` : score.awaiting_review && score.accepted ? 'not paid yet' : 'not paid'
  return { state, score: (100 * score.score).toFixed(1), pay, good }
}

function closed(episode: Episode): string {
  if (episode.state === 'rejected') return rejected(episode.reason ?? '')
  if (episode.state !== 'invalid') return words(episode.state)
  return `Does not count: ${asEnding(ending(episode.reason ?? ''))}`
}

/** `reason` begins with the gate that refused it. */
function rejected(reason: string): string {
  const says = saysOf(/^\w+(?=: )/.exec(reason)?.[0] ?? '')
  const first = /^.*?\.(?= |$)/.exec(says ?? '')?.[0]
  return first === undefined ? words('rejected') : `${words('rejected')}: ${asEnding(first)}`
}

/** A sentence, as the end of another. */
const asEnding = (sentence: string): string => `${sentence.charAt(0).toLowerCase()}${sentence.slice(1, -1)}`
