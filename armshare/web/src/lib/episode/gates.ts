// What an episode went through before it was verified: the gates of `recorder/proof/gates.py`, in their order, each in a
// sentence of what it rules out.

import type { Episode } from '../account/api'

/** How a gate stands for an episode. */
export type Stand = 'passed' | 'refused' | 'not reached' | 'not needed' | 'yours'

export interface GateSaid {
  name: string
  title: string
  rules_out: string
  stand: Stand
  /** Why it is not needed, or who can check it. */
  why: string
}

type Needs = 'always' | 'format 2' | 'pictures' | 'simulation' | 'yours'

interface Gate {
  name: string
  /** What it is called if it refuses. */
  refuses: readonly string[]
  title: string
  rules_out: string
  needs: Needs
}

const gate = (name: string, refuses: string | readonly string[], title: string, rules_out: string, needs: Needs = 'always'): Gate => ({ name, refuses: typeof refuses === 'string' ? [refuses] : refuses, title, rules_out, needs })

export const GATES: readonly Gate[] = [
  gate('files', 'BundleIncomplete', 'All of it is there', 'An episode that lacks a file, or has something else in its place.'),
  gate('canonical', 'ManifestNotCanonical', 'Its manifest can be read in one way only', 'Two readers that understand the same signed text differently.'),
  gate('schema', 'ManifestInvalid', 'Its manifest says what it must', 'A description with something missing, or something nobody asked for.'),
  gate('file', 'FileHashMismatch', 'The recording is the one that was signed', 'A file that was changed, cut or replaced after it was signed.'),
  gate('grant', 'GrantInvalid', 'The operator allowed this drive', "A drive in the name of a wallet that never granted it, or after its time was over."),
  gate('robot_signature', 'RobotSignatureInvalid', 'The robot signed it', 'A recording that was made without the robot, or by another one.'),
  gate('operator_signature', 'OperatorSignatureInvalid', 'The operator signed it', 'A drive that its operator has not agreed to hand in.'),
  gate('known', 'UnknownEpisode', 'This hub asked for it', 'A drive that nobody asked for, made up at home.'),
  gate('ticket', 'TicketMismatch', 'It is the drive that was asked for', 'Another robot, operator, task, start or driver than the hub gave out.'),
  gate('nonce', 'NonceMismatch', 'It was made after it was asked for', 'A drive that was prepared before the hub drew its start.'),
  gate('previous', 'PreviousForked', 'It follows the robot’s drive before it', 'A robot that tries several times and hands in the best one only.'),
  gate('structure', 'EpisodeStructureInvalid', 'The file is well formed', 'A file that hides data, or that could harm whoever opens it.'),
  gate('agrees', 'ManifestDisagrees', 'Manifest and file agree', 'A manifest that describes another recording.'),
  gate('content', 'ContentRootMismatch', 'Every value is the one that was signed', 'A single number that was changed, even if the file was packed again.'),
  gate('commands', 'CommandsMismatch', 'Every command is in the chain', 'Commands that were left out, added, or put in another order.', 'format 2'),
  gate('safety', 'SafetyMismatch', 'The robot moved only when it was allowed to', 'Motion without the operator’s hand on the dead-man switch.', 'format 2'),
  gate('spec', 'SpecMismatch', 'Robot and task are as registered', 'Limits that were loosened, or a task that was made easier.'),
  gate('time', 'TimeMismatch', 'Its times fit the hub’s clock', 'A drive that was recorded at another time, or slowed down.'),
  gate('duplicate', 'DuplicateEpisode', 'Nobody handed it in before', 'The same recording under another name.'),
  gate('success', 'SuccessMismatch', 'Success is what its steps show', 'A failure that calls itself a success.'),
  gate('end', 'EndMismatch', 'It ended as the hub saw it end', 'An end that was cut off or made up.'),
  gate('motion', 'MotionInvalid', 'The robot can make this motion', 'Jumps, and speeds that no such robot has.'),
  gate('pictures', 'PicturesInvalid', 'Its pictures are whole and in order', 'Pictures that are missing, broken, or from another time.', 'pictures'),
  gate('replay', 'ReplayMismatch', 'Simulated again, it comes out the same', 'A simulation that never happened: seed and commands give every number again, bit for bit.', 'simulation'),
  gate('copy', ['CopiedMotion', 'DuplicateEpisode'], 'The motion is its own', 'Another’s motion, handed in once more with small changes.'),
  gate('receipt', 'ReceiptInvalid', 'The hub signed a receipt', 'A hub that says later it never had this episode.', 'yours'),
  gate('inclusion', 'InclusionInvalid', 'It is in the public log', 'An episode that is taken back or replaced without anyone noticing.', 'yours'),
]

/** What the hub checks as soon as a robot hands an episode in, before there is a file. */
export const SEAL_GATES: readonly string[] = ['canonical', 'schema', 'robot_signature', 'known', 'ticket', 'nonce', 'end']

const WHY: Record<Exclude<Needs, 'always'>, string> = {
  'format 2': 'Recordings of the first format do not hold the commands.',
  pictures: 'No camera recorded: the robot is simulated, or has none.',
  simulation: 'The world of a real robot cannot be simulated again; people review its pictures instead.',
  yours: 'For you to check: this page does so below, and so does the command line.',
}

/** The name of the gate that refused, as the reason of a rejected episode begins with it. */
export const refusedBy = (reason: string | null | undefined): string | null => /^(\w+)(?=: )/.exec(reason ?? '')?.[1] ?? null

/** What is known of an episode's format and pictures; null until it is read. */
export interface Known {
  format: number
  cameras: number
}

/** How each gate stands: what the hub says of a verified episode, and how far a rejected one came. */
export function gatesOf(episode: Pick<Episode, 'state' | 'reason' | 'trust' | 'size'>, known: Known | null): GateSaid[] {
  const refused = episode.state === 'rejected' ? GATES.findIndex(({ refuses }) => refuses.includes(refusedBy(episode.reason) ?? '')) : -1
  const asked = refused >= 0 && episode.size == null && SEAL_GATES.includes(GATES[refused]?.name ?? '') ? GATES.filter(({ name }) => SEAL_GATES.includes(name)) : GATES
  return asked.map((one) => {
    const at = GATES.indexOf(one)
    const stand = standOf(one, at, refused, episode, known)
    return { name: one.name, title: one.title, rules_out: one.rules_out, stand, why: stand === 'not needed' || stand === 'yours' ? WHY[one.needs as keyof typeof WHY] : '' }
  })
}

function standOf({ needs }: Gate, at: number, refused: number, { state, trust }: Pick<Episode, 'state' | 'trust'>, known: Known | null): Stand {
  if (state === 'rejected' && refused < 0) return 'not reached'
  if (refused >= 0 && at === refused) return 'refused'
  if (refused >= 0 && at > refused) return 'not reached'
  if (needs === 'yours') return 'yours'
  if (state !== 'verified' && refused < 0) return 'not reached'
  if (needs === 'simulation') return refused >= 0 || trust === 'replayed' ? 'passed' : 'not needed'
  if (needs === 'format 2' && known && known.format < 2) return 'not needed'
  if (needs === 'pictures' && known && known.cameras === 0) return 'not needed'
  return 'passed'
}
