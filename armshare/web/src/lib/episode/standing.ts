// An episode that is not shown, in plain words: what it is, why, and what can be done.

import type { Episode } from '../account/api'
import { heldState } from '../account/held'
import { ending } from '../format'
import { saysOf, type Trouble } from '../trouble'
import { refusedBy } from './gates'

export interface Standing {
  title: string
  says: string
  /** What can be done, each a sentence. */
  ways: string[]
  /** It may be another tomorrow: look again by itself. */
  coming: boolean
}

/** How an episode stands that is not verified; null if it is. `own`: whoever looks drove it. */
export function standingOf(episode: Episode, own: boolean): Standing | null {
  switch (episode.state) {
    case 'verified':
      return null
    case 'recording':
    case 'sealed':
      return { title: 'On its way to the hub', says: "The robot's computer is still sending this recording.", ways: [own ? 'Leave this page open, or come back later: it goes on by itself.' : 'Come back in a few minutes.'], coming: true }
    case 'uploaded':
      return {
        title: 'Not signed yet',
        says: 'The recording is here, and its operator has not signed it. Until then nobody sees it.',
        ways: [own ? 'You find it in the lobby under “Your episodes”: sign it there, or discard it.' : 'Its operator can sign it in the lobby, or discard it.'],
        coming: true,
      }
    case 'held':
      return {
        title: 'Waiting to be checked',
        says: `${heldState(episode.reason)}. It is signed and safe, and nothing speaks against it.`,
        ways: [episode.next_try_ms ? `It is checked again by itself, ${new Date(episode.next_try_ms).toLocaleString()} at the latest.` : 'It is checked again by itself.'],
        coming: true,
      }
    case 'rejected':
      return rejected(episode, own)
    case 'invalid':
      return { title: 'It does not count', says: `The recording did not end as it should. ${ending(episode.reason ?? '')}`, ways: ['It is kept as it is, and is neither shown nor paid.', 'Drive again: nothing is held against anyone.'], coming: false }
    case 'discarded':
      return { title: 'It was erased', says: 'Its operator discarded it, or did not sign it in time. Its files are erased; only that it was driven is still known.', ways: ['Nobody can bring it back.'], coming: false }
    default:
      return { title: 'It cannot be shown', says: `The hub says that it is “${episode.state}”, which this page does not know.`, ways: ['Reload the page to get its newest version.'], coming: false }
  }
}

function rejected(episode: Episode, own: boolean): Standing {
  const says = saysOf(refusedBy(episode.reason) ?? '') ?? 'A check refused it, so it does not count.'
  const ways = [
    ...(episode.another_look && own ? ['You may ask for another look, once: it is checked again as it is.'] : []),
    ...(episode.another_look && !own ? ['Its operator may ask for another look, once.'] : []),
    ...(episode.twin ? ['The episode that it repeats is linked below.'] : []),
    ...(episode.size == null ? ['Its files are not kept here any more.'] : []),
  ]
  return { title: 'Not accepted by the hub', says, ways: ways.length > 0 ? ways : ['Drive again: each drive is checked for itself.'], coming: false }
}

/** What to tell if the hub would not say anything of an episode. */
export function missing(trouble: Trouble): Standing | null {
  if (trouble.code === 'unknown_episode' || trouble.code === 'episode_id')
    return { title: 'There is no such episode', says: 'This hub has no episode under this address. The address may be cut off, or belong to another hub.', ways: ['Check that the whole address was copied.'], coming: false }
  if (trouble.code === 'not_reader')
    return {
      title: 'It is private',
      says: 'What was seen and done in this episode is for its operator, the owner of its robot and those whom they let read it. Its score, its pay and its proof are public.',
      ways: ['If you are one of them, sign in with that wallet.', "Ask the owner of the robot, whose card says who that is, to let you read it."],
      coming: false,
    }
  if (trouble.code === 'episode_private') return { title: 'It is private', says: trouble.says, ways: ['If you drove it, or own its robot, sign in.'], coming: false }
  return null
}
