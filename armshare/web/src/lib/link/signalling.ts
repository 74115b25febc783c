// The text frames that the page says and hears, as `teleop/wire/signalling.schema.json` has them.
//
// Made by `python -m teleop.wire.typescript`; a test holds this file to it. Do not edit it by hand.

export type OperatorToHub = Hello | Join | Resume | Begin | Note | Finish | Leave | Estop | Clear | Watch

export type HubToOperator =
  | Welcome
  | Queued
  | Waiting
  | Granted
  | Resumed
  | EpisodeReady
  | Noted
  | EpisodeEnded
  | Left
  | RobotStopped
  | RobotFaulted
  | RobotCleared
  | RobotCannotRecord
  | RobotCanRecord
  | RobotCannotCheck
  | RobotCameraTroubled
  | Watching
  | Refusal

export type ViewerToHub = Look

export type HubToViewer = Looking | Refusal

/** Operator: the first frame. */
export interface Hello {
  type: 'hello'
  protocol: number
  token: string
}

/** Operator: queue for a robot. */
export interface Join {
  type: 'join'
  grant: Grant
  signature: string
}

/** Operator: go on with a lease that this wallet holds, whose connection was lost; on a connection of its own. */
export interface Resume {
  type: 'resume'
  lease: string
  driver: Driver
}

/** Operator: start an episode, and say who or what drives it. */
export interface Begin {
  type: 'begin'
  driver: Driver
}

/** Operator: keep these words with the episode that is being recorded, at this moment of it. */
export interface Note {
  type: 'note'
  text: string
}

/** Operator: end the episode, and say whether the task was done. */
export interface Finish {
  type: 'finish'
  said?: boolean | null
}

/** Operator: give the robot back, or leave the queue. */
export interface Leave {
  type: 'leave'
}

/** Anyone: stop the robot, latched. */
export interface Estop {
  type: 'estop'
  robot: string
}

/** The owner: release what is latched under that name, an e-stop or a fault; signed as `ClearRobot`. */
export interface Clear {
  type: 'clear'
  robot: string
  stop: string
  signature: string
}

/** Anyone: see the robot's states. */
export interface Watch {
  type: 'watch'
  robot: string
}

/** The values of a `SessionGrant`. */
export interface Grant {
  operator: string
  sessionKey: string
  robot: string
  task: string
  nonce: string
  notAfterMs: number
}

/** Who or what drives. A program has a name, and the SHA-256 of its file or checkpoint; a person has neither. */
export interface Driver {
  kind: DriverKind
  name?: string
  sha256?: string
}

/** What kind of driver it is. */
export type DriverKind = 'person' | 'policy' | 'script'

/** Hub to operator: you are in; a grant is signed over this nonce. */
export interface Welcome {
  type: 'welcome'
  protocol: number
  address: string
  nonce: string
  now_ms?: number | null
}

/** Hub to operator: where you are in the queue. */
export interface Queued {
  type: 'queued'
  robot: string
  position: number
  length: number
  wait_s: number
}

/** Hub to operator who holds a robot: how many wait for it, again whenever that changes. */
export interface Waiting {
  type: 'waiting'
  length: number
  left_s: number
}

/** Hub to operator: the robot is yours, described as it is at the task that was asked for. */
export interface Granted {
  type: 'granted'
  lease: string
  epoch: number
  robot: Record<string, unknown>
  task: Record<string, unknown> | null
}

/** Hub to operator: the drive is yours again; at state `seq` of this epoch, `steps` had been recorded. */
export interface Resumed {
  type: 'resumed'
  lease: string
  epoch: number
  episode: string
  steps: number
  seq: number
  robot: Record<string, unknown>
  task: Record<string, unknown> | null
  driver: Driver
}

/** Hub to operator: the scene is reset; drive. */
export interface EpisodeReady {
  type: 'ready'
  episode: string
  seed: number
  task: Record<string, unknown> | null
}

/** Hub to operator: your note is kept with the episode, which has so many now. */
export interface Noted {
  type: 'noted'
  episode: string
  notes: number
}

/** Hub to operator: the episode is over; `episode` is null if nothing of it is kept. */
export interface EpisodeEnded {
  type: 'ended'
  episode: string | null
  steps: number
  success: boolean | null
  valid: boolean
  reason: EndReason
}

/** Hub to operator: the lease, the place in the queue, or the watching is over. */
export interface Left {
  type: 'left'
  reason: string
}

/** Hub to everyone at a robot: its e-stop is latched. */
export interface RobotStopped {
  type: 'estopped'
  robot: string
  by: string
  stop: string
}

/** Hub to everyone at a robot: it broke; the reason is its host's sentence. */
export interface RobotFaulted {
  type: 'faulted'
  robot: string
  reason: string
  stop: string
}

/** Hub to everyone at a robot: its e-stop, or its fault, is released. */
export interface RobotCleared {
  type: 'cleared'
  robot: string
  by: string
}

/** Hub to everyone at a robot: its host cannot record, and says why; nothing that is driven would be kept. */
export interface RobotCannotRecord {
  type: 'cannot_record'
  robot: string
  reason: string
}

/** Hub to everyone at a robot: its host can record again. */
export interface RobotCanRecord {
  type: 'can_record'
  robot: string
}

/** Hub to who is at a robot: what is driven at their task cannot be checked now, so it waits and is not paid. */
export interface RobotCannotCheck {
  type: 'cannot_check'
  robot: string
  task: string
  reason: string
}

/** Hub to who drives: what is wrong, or was, with a camera's pictures; in place of what was said of it before. */
export interface RobotCameraTroubled {
  type: 'camera_trouble'
  episode: string
  camera: string
  trouble: 'black' | 'dropped' | 'frozen' | 'lost' | 'missing'
  times: number
  from_s: number
  until_s: number | null
}

/** Hub to operator: the robot's states follow, laid out as it is at this task; again when it is at another. */
export interface Watching {
  type: 'watching'
  robot: Record<string, unknown>
  task: Record<string, unknown> | null
  epoch: number
}

/** Hub: the request was not carried out; the message says what was expected, what came and what to do. */
export interface Refusal {
  type: 'error'
  code: string
  message: string
}

/** Why an episode ended; `valid` says whether it may count. */
export type EndReason =
  | 'disk_full'
  | 'estopped'
  | 'finished'
  | 'host_lost'
  | 'left'
  | 'operator_lost'
  | 'recorder_failed'
  | 'recorder_full'
  | 'revoked'
  | 'robot_fault'
  | 'step_limit'
  | 'unstable'

/** Viewer: the first frame of /ws/camera. `codecs` are in order of preference. */
export interface Look {
  type: 'look'
  protocol: number
  token: string
  robot: string
  camera: string
  codecs: string[]
}

/** Hub to viewer: frames follow, of this camera in this codec. */
export interface Looking {
  type: 'looking'
  camera: string
  codec: string
}
