// What went wrong, as a person is told it: what happened, what to do, and which button does it. A table by the codes of
// `teleop/PROTOCOL.md` and `docs/http.md`; the hub's own words are for programs, and go to the console.

export type Todo = 'try_again' | 'sign_in' | 'reload' | 'lobby' | 'sign_anyway'

export interface Trouble {
  code: string
  says: string
  todo: Todo
}

/** The label of the button. */
export const TODO: Record<Todo, string> = {
  try_again: 'Try again',
  sign_in: 'Sign in again',
  reload: 'Reload the page',
  lobby: 'Back to the lobby',
  sign_anyway: 'Sign it anyway',
}

const NOT_UNDERSTOOD = 'This page and the hub do not understand each other. Reload the page to get its newest version.'
const NOT_HANDED_OVER = 'The robot could not deliver the recording to the hub. Try again in a moment.'
const DAMAGED = 'The recording was damaged or changed on its way to the hub, so it does not count. Drive again.'
const NOT_SIGNED_BY = 'A signature does not belong to this drive, so the drive does not count. Drive again.'
const NO_PAYOUT = 'There is no such payout. Look at your earnings in the lobby.'
const NOT_DRAWN =
  'This browser cannot draw in 3D (WebGL), and nobody drives a robot unseen. Turn on hardware acceleration in its settings and reload the page, or use another browser.'
const OTHER_COMMANDS =
  'The robot obeyed a command that you did not send. This page let go of it, and signs nothing of this drive. Tell the owner of the robot.'
const COMMANDS_DIFFER =
  'What was recorded is not what you sent, so this page did not sign it. Discard it, and tell the owner of the robot.'
const COMMANDS_MISSING =
  'The recording does not say by which commands the robot was driven, so this page did not sign it. Discard it, and tell the owner of the robot.'
const COMMANDS_UNSEEN =
  'This browser does not know all of the commands of this drive, so it cannot check that the recording is what you drove. Sign it only if you drove all of it yourself, here or in another browser or program; otherwise discard it.'
const OF_A_ROBOT = "The robot's computer was refused by the hub. Its owner can see why in its log. Choose another robot."

const SAYS: readonly (readonly [Todo, says: string, codes: readonly string[]])[] = [
  ['sign_in', 'Your sign-in has run out. Sign in again.', ['auth']],
  ['try_again', 'The signature was not accepted, so you are not signed in. Try again.', ['signature']],
  ['reload', 'This page and the hub have different versions. Reload the page to get the right one.', ['protocol']],
  ['reload', NOT_UNDERSTOOD, ['malformed', 'unknown_type', 'too_large', 'body_too_large', 'body_too_deep', 'invalid', 'address', 'cursor']],
  ['try_again', 'This page sent too much at once, and something was lost. Try again in a moment.', ['flood']],
  ['lobby', 'This robot is not registered here. Choose another one in the lobby.', ['unknown_robot']],
  ['lobby', 'This robot does not offer this task. Choose another one in the lobby.', ['unknown_task']],
  ['try_again', "Your permission to drive was not accepted. Try again.", ['grant']],
  ['try_again', "This computer's clock and the hub's differ. Set it right, then try again.", ['clock']],
  ['try_again', 'The robot cannot do that at the moment. Try again.', ['state']],
  ['try_again', 'This note was not kept. You can write notes only while a drive is recorded: at most one a second, and 100 in a drive.', ['note']],
  ['lobby', "The robot's computer has no room to record, so a drive would be lost. Its owner has to make room. Choose another robot.", ['cannot_record']],
  ['lobby', "Only the robot's owner can do that. You can choose another robot in the lobby.", ['not_owner']],
  ['try_again', 'The robot was not released. It may have been stopped again meanwhile. Check it, then try again.', ['clear']],
  ['try_again', 'The robot is offline. Try again later, or choose another one.', ['robot_offline']],
  ['try_again', 'The minute is over in which you could go on with this drive. What you drove is saved, but does not count. Try again to drive from the start.', ['lease_over']],
  ['lobby', 'The robot is online, so it cannot be removed. Stop its host first.', ['online']],
  ['lobby', OF_A_ROBOT, ['registration', 'robot_signature', 'registration_nonce', 'ticket_mismatch', 'nonce_mismatch', 'robot_signature_invalid']],
  ['reload', 'This camera is gone. Reload the page to see which ones the robot has now.', ['unknown_camera']],
  ['reload', 'This camera sends no picture that this browser can show. Reload the page, or use another browser.', ['codec']],
  ['lobby', 'This file does not exist. Your episodes are in the lobby.', ['unknown_file', 'log_index', 'episode_erased']],
  ['try_again', 'The hub does not have this episode yet. Try again in a moment.', ['unknown_episode', 'episode_id']],
  ['lobby', 'Another wallet drove this episode, so yours can neither sign nor discard it.', ['not_the_operator']],
  ['lobby', 'This episode has already been handed in or discarded. It is in the lobby.', ['episode_state', 'duplicate_episode']],
  ['try_again', NOT_HANDED_OVER, ['unknown_upload', 'upload_idle', 'upload_incomplete', 'upload_too_large', 'upload_busy', 'offset_mismatch', 'body_timeout', 'tus_header', 'tus_version', 'media_type']],
  ['lobby', DAMAGED, ['refused', 'bundle_incomplete', 'manifest_not_canonical', 'manifest_invalid', 'manifest_disagrees', 'file_hash_mismatch', 'episode_structure_invalid', 'content_root_mismatch', 'previous_forked', 'commands_mismatch']],
  ['lobby', NOT_SIGNED_BY, ['grant_invalid', 'operator_signature_invalid']],
  ['lobby', 'This drive repeats the motion of an earlier episode, so it does not count. The lobby names that one. Drive your own.', ['copied_motion']],
  ['lobby', 'This robot cannot make the motion that was recorded, so the drive does not count. Drive again.', ['motion_invalid']],
  ['lobby', 'A camera of this robot did not record its pictures as it should, so the drive does not count. Tell its owner, and drive again.', ['pictures_invalid']],
  ['lobby', "The recording shows the robot moving when its operator's commands did not allow it, so the drive does not count. Tell the robot's owner.", ['safety_mismatch']],
  ['lobby', 'The simulator came to a different result when it replayed the recording, so the drive does not count. Drive again.', ['replay_mismatch']],
  ['lobby', "The recording is not of the robot and the task that you were given, so the drive does not count. Tell the robot's owner.", ['spec_mismatch']],
  ['lobby', "The recording says of its success what its steps do not show, so the drive does not count. Tell the robot's owner.", ['success_mismatch']],
  ['lobby', "The recording ends in another way than the hub saw your drive end, so it does not count. Tell the robot's owner.", ['end_mismatch']],
  ['lobby', "The times in the recording do not fit the time of your drive, so it does not count. Tell the robot's owner: the clock of its computer may be wrong.", ['time_mismatch']],
  ['lobby', 'Before an episode is verified, only its operator and the owner of its robot can download it.', ['episode_private']],
  ['lobby', 'This episode is private. Its operator, the owner of its robot and those whom they let read it can see it: sign in as one of them.', ['not_reader']],
  ['lobby', 'Only its operator and the owner of its robot see who uses this episode.', ['not_theirs']],
  ['lobby', 'This episode is not private, so it needs no key.', ['not_private']],
  ['try_again', 'Some of these episodes are private, and not yours to read or to pass on. Leave them out, then try again.', ['private_episodes']],
  ['lobby', 'This data set is private. Its owner says who may read it: sign in as one of them.', ['private_dataset']],
  ['lobby', 'This robot is private: only its owner, those whom they let see it, and whoever drives it or waits for it see it live.', ['private_robot']],
  ['try_again', 'Somebody drives this robot or waits for it. Try again when nobody does.', ['robot_driven']],
  ['lobby', "The hub's receipt could not be verified. Keep the episode's files, and tell whoever runs the hub.", ['receipt_invalid', 'inclusion_invalid']],
  ['lobby', 'You are not asked to review now. Drive with a simulated robot first, until three episodes of yours were accepted.', ['not_a_reviewer']],
  ['lobby', 'You have left out so many today that you would be choosing what you judge. Come back tomorrow.', ['refused_too_often']],
  ['try_again', 'You are not asked about this episode any more. Try again to get the next one.', ['not_asked']],
  ['try_again', 'That was too soon: look at the whole episode first, then try again.', ['too_soon', 'unseen']],
  ['lobby', 'Nobody reviews this episode: only the drives of real robots are reviewed.', ['not_reviewed']],
  ['try_again', 'This episode has no score yet. Try again in a few seconds.', ['not_scored']],
  ['lobby', 'This episode does not count, so it gets no score.', ['never_scored']],
  ['lobby', 'Nobody has an accepted drive from a start like this one yet. Yours can be the first.', ['no_best']],
  ['lobby', 'Nobody knows how this drive began, so no other can be shown beside it.', ['start_unknown']],
  ['lobby', 'This episode has no such values, or no pictures by such a camera.', ['unknown_channel', 'unknown_camera']],
  ['try_again', 'The pictures did not come whole. Try again.', ['range']],
  ['lobby', 'This browser cannot decode the pictures of this camera. A newer browser can.', ['no_h264']],
  ['try_again', 'The hub cannot look for a like drive at the moment. Try again later.', ['best_unread']],
  ['try_again', 'The hub cannot read this drive at the moment. Nothing is wrong with it. Try again later.', ['replay_unread']],
  ['try_again', 'Many others want to see a drive at the moment. Try again in a few seconds.', ['best_busy', 'replay_busy']],
  ['try_again', 'Many downloads are being sent at the moment. Try again in a few seconds.', ['bundles_busy']],
  ['lobby', 'There is no such data set, or it has no such version.', ['unknown_dataset']],
  ['try_again', 'Some of these episodes cannot be in a data set. Leave them out, then try again.', ['unknown_episodes', 'unverified_episodes', 'withdrawn_episodes', 'erased_episodes', 'practice_episodes', 'torn_episodes', 'not_in_dataset']],
  ['try_again', 'Some of these episodes have no score yet. Try again in a minute.', ['unscored_episodes']],
  ['try_again', 'There is a data set of that name. Choose another one.', ['dataset_there']],
  ['try_again', 'A data set is called like lab/lift: small letters, digits, - and _, with one slash. Choose another name.', ['dataset_name_invalid']],
  ['try_again', 'What is before the slash belongs to another wallet. Choose another name.', ['not_the_namespace']],
  ['try_again', 'Your wallet has as many namespaces as it may have. Use one of them.', ['too_many_namespaces']],
  ['try_again', 'There are as many data sets under this name before the slash as there may be. Use another one.', ['too_many_datasets']],
  ['try_again', 'No episodes were chosen. Choose at least one.', ['no_episodes']],
  ['try_again', 'That would change nothing: the data set is like that already.', ['nothing_new']],
  ['try_again', 'That is too much for one data set. Choose fewer episodes.', ['too_many_episodes']],
  ['try_again', 'The two data sets are given under different licences, so they cannot be merged.', ['licences_differ']],
  ['try_again', 'Choose a licence for the data, such as CC-BY-4.0.', ['licence']],
  ['try_again', 'A title, description or reason is missing or too long. Write another one.', ['text_invalid']],
  ['try_again', 'The shares of train, validation and test must add up to 1.', ['shares']],
  ['lobby', 'The hub does not have that version of the rules. Whoever runs it can name one that it has.', ['unknown_rules']],
  ['reload', 'No such camera saw this episode. Reload the page, and choose another one.', ['no_camera']],
  ['lobby', 'This hub cannot show pictures of this episode.', ['no_preview']],
  ['lobby', 'Its operator has withdrawn this episode, so it is not shown any more.', ['episode_withdrawn']],
  ['try_again', 'The hub is busy drawing pictures. Try again in a few seconds.', ['previews_busy']],
  ['lobby', NO_PAYOUT, ['unknown_root', 'nothing_earned']],
  ['lobby', 'There is nothing to claim at the moment. What you earn is ready to claim a little later.', ['nothing_to_claim']],
  ['lobby', 'This payout was withdrawn. What you earned is still yours, and comes with the next one.', ['root_void']],
  ['try_again', 'The contract refused the payout. What you earned is still yours. Try again later.', ['vault_refused']],
  ['try_again', 'The blockchain did not answer. What you earned is still yours. Try again later.', ['chain', 'chain_unreachable', 'wrong_vault']],
  ['try_again', 'The hub cannot be reached. Check the connection.', ['unreachable']],
  ['try_again', "The hub's database does not answer at the moment, so nothing was changed. Try again in a moment.", ['unavailable']],
  ['try_again', 'Many people are searching at the moment. Try again in a moment.', ['search_busy']],
  ['try_again', 'This search takes too long. Search for less: add a task, or a date.', ['search_slow']],
  ['lobby', 'This search asks for something that there is not. Choose from the filters that are shown.', ['unknown_filter', 'filter_value']],
  ['lobby', 'That is not here, or not any more. Look for it among the data sets.', ['unknown_revision', 'unknown_path', 'taken_down', 'paths']],
  ['try_again', 'The hub cannot write the data like that. Choose another format, action or size of the pictures.', ['order']],
  ['try_again', 'The hub no longer has that. Ask for it again.', ['unknown_job', 'archive_erased']],
  ['try_again', 'There is nothing to download yet. Try again in a moment.', ['no_archive']],
  ['lobby', 'This version is released already, with other options. Release a newer one.', ['release_differs']],
  ['try_again', 'Your wallet has asked for much already. Wait until something of it is done, then try again.', ['too_many_jobs']],
  ['try_again', 'Many exports wait at this hub at the moment. Try again later.', ['jobs_full']],
  ['try_again', "The hub's disk is full, so nothing was saved. Try again later, and tell whoever runs it.", ['hub_full']],
  ['try_again', 'The place where the hub keeps its files does not answer. Nothing is lost. Try again later.', ['store_lost']],
  ['reload', 'The hub has less of this file than was asked for. Reload the page.', ['range']],
  ['try_again', 'Something broke in the hub. Try again; if it happens again, tell whoever runs it.', ['internal']],
  // The page's own.
  ['reload', NOT_UNDERSTOOD, ['session', 'wire', 'layout', 'statement', 'score']],
  ['lobby', 'The hub offered a recording that is not of your drive, so this page did not sign it. Drive again.', ['manifest']],
  ['lobby', OTHER_COMMANDS, ['other_commands']],
  ['lobby', COMMANDS_DIFFER, ['commands_differ']],
  ['lobby', COMMANDS_MISSING, ['commands_missing']],
  ['sign_anyway', COMMANDS_UNSEEN, ['commands_unseen']],
  ['try_again', 'The hub accepted the episode, but its receipt cannot be read. Try again.', ['receipt']],
  ['reload', "The robot's 3D model could not be loaded. Reload the page.", ['model']],
  ['reload', NOT_DRAWN, ['webgl']],
  ['reload', 'Something broke on this page. Reload it.', ['unknown']],
]

const BY_CODE: ReadonlyMap<string, readonly [says: string, todo: Todo]> = new Map(
  SAYS.flatMap(([todo, says, codes]) => codes.map((code) => [code, [says, todo]] as const)),
)

/** `NotTheOperator` and `not_the_operator` are one code. */
const codeOf = (name: string): string => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase()

/** What is told of a gate, or of a code of the hub's, by its name; null of one that this page does not know. */
export const saysOf = (name: string): string | null => BY_CODE.get(codeOf(name))?.[0] ?? null

/** What to tell of an error, or of a refusal of the hub's. An error that was written for people tells itself. */
export function troubleOf(error: unknown): Trouble {
  console.info('armshare:', error)
  if (error instanceof PlainError) return { code: error.code, says: error.message, todo: error.todo }
  const { code, name, status } = (error ?? {}) as { code?: unknown; name?: unknown; status?: unknown }
  const named = typeof code === 'string' ? codeOf(code) : typeof name === 'string' ? codeOf(name.replace(/Error$/, '')) : ''
  const known = [named, ofStatus(status), 'unknown'].find((each) => BY_CODE.has(each)) as string
  const [says, todo] = BY_CODE.get(known) as readonly [string, Todo]
  return { code: named || known, says, todo }
}

/** Of an HTTP status whose code this page does not know. */
function ofStatus(status: unknown): string {
  if (typeof status !== 'number') return ''
  return status === 401 ? 'auth' : status >= 500 ? 'internal' : ''
}

/** An error of this page whose message is written for the person before it. */
export class PlainError extends Error {
  override name = 'PlainError'
  code = 'plain'
  constructor(
    message: string,
    readonly todo: Todo = 'try_again',
    cause?: unknown,
  ) {
    super(message, { cause })
  }
}
