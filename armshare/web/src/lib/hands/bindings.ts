// What each key, and each button and stick of a gamepad, does. Pure; `controls.svelte.ts` keeps what a person chose.
//
// A control is a text: a key by its `KeyboardEvent.code`, so that every keyboard layout has the same shape under the
// hand, a gamepad's button as `b7`, and half an axis as `a1-`, numbered by the standard mapping of the Gamepad API.

export const AXES = ['x', 'y', 'z', 'roll', 'pitch', 'yaw'] as const
export type Axis = (typeof AXES)[number]
export type Motion = `${Axis}${'+' | '-'}`
export type Order = 'part1' | 'part2' | 'part3' | 'next' | 'gripper' | 'finish' | 'estop' | 'view' | 'cameras' | 'note' | 'help' | 'controls'
/** `hold` is a gamepad's dead-man; on the keyboard every motion is its own. */
export type Action = Motion | Order | 'slow' | 'hold'
export type Bound = Readonly<Record<Action, readonly string[]>>

export const ACTIONS: Record<Action, string> = {
  hold: 'hold to let the robot move',
  'x+': 'away',
  'x-': 'back',
  'y+': 'left',
  'y-': 'right',
  'z+': 'up',
  'z-': 'down',
  'pitch+': 'tilt forward',
  'pitch-': 'tilt back',
  'yaw+': 'turn left',
  'yaw-': 'turn right',
  'roll-': 'roll left',
  'roll+': 'roll right',
  gripper: 'close or open the gripper',
  slow: 'hold to move slowly',
  part1: 'the first hand',
  part2: 'the second hand, or the base',
  part3: 'the base, if there are two hands',
  next: 'the next hand, or the base',
  finish: 'finish the episode',
  view: 'next view',
  cameras: 'open or close the cameras',
  note: 'write a note',
  help: 'help',
  controls: 'choose the controls',
  estop: 'emergency stop',
}

export const KEYS: Bound = {
  hold: [],
  'x+': ['KeyW'],
  'x-': ['KeyS'],
  'y+': ['KeyA'],
  'y-': ['KeyD'],
  'z+': ['KeyR', 'KeyE'],
  'z-': ['KeyF', 'KeyQ'],
  'pitch+': ['ArrowUp'],
  'pitch-': ['ArrowDown'],
  'yaw+': ['ArrowLeft'],
  'yaw-': ['ArrowRight'],
  'roll-': ['KeyZ'],
  'roll+': ['KeyX'],
  gripper: ['Space'],
  slow: ['ShiftLeft', 'ShiftRight'],
  part1: ['Digit1'],
  part2: ['Digit2'],
  part3: ['Digit3'],
  next: [],
  finish: ['Enter', 'NumpadEnter'],
  view: ['KeyC'],
  cameras: ['KeyV'],
  note: ['KeyN'],
  help: ['KeyH'],
  controls: ['KeyK'],
  estop: ['Escape'],
}

export const GAMEPAD: Bound = {
  hold: ['b7', 'b5'],
  'x+': ['a1-'],
  'x-': ['a1+'],
  'y+': ['a0-'],
  'y-': ['a0+'],
  'z+': ['a3-'],
  'z-': ['a3+'],
  'pitch+': ['b12'],
  'pitch-': ['b13'],
  'yaw+': ['a2-'],
  'yaw-': ['a2+'],
  'roll-': ['b14'],
  'roll+': ['b15'],
  gripper: ['b0'],
  slow: ['b4'],
  part1: [],
  part2: [],
  part3: [],
  next: ['b2'],
  finish: ['b9'],
  view: ['b3'],
  cameras: [],
  note: [],
  help: ['b8'],
  controls: [],
  estop: ['b1'],
}

/** This key stops the robot, whatever else is chosen. */
const STOP_KEY = 'Escape'

/** What this key types opens the help, wherever it stands on a keyboard, and beside the chosen one. */
export const HELP_KEY = '?'

const MOTION = /^(x|y|z|roll|pitch|yaw)([+-])$/

/** The axis that an action moves, and which way. */
export function motionOf(action: Action): [axis: Axis, sign: 1 | -1] | null {
  const found = MOTION.exec(action)
  return found ? [found[1] as Axis, found[2] === '+' ? 1 : -1] : null
}

export const isOrder = (action: Action): action is Order => action !== 'hold' && action !== 'slow' && !motionOf(action)

const actions = Object.keys(ACTIONS) as Action[]
const everyAction = (controls: (action: Action) => readonly string[]): Bound =>
  Object.fromEntries(actions.map((action) => [action, controls(action)])) as unknown as Bound

export const actionOf = (bound: Bound, control: string): Action | undefined =>
  actions.find((action) => bound[action].includes(control))

/** What a key does that is pressed: the one chosen for it; else `?` opens the help. */
export const actionFor = (bound: Bound, { code, key }: Pick<KeyboardEvent, 'code' | 'key'>): Action | undefined =>
  actionOf(bound, code) ?? (key === HELP_KEY ? 'help' : undefined)

/** Give an action this control and no other; who had it before has it no more. The stop key stays what it is. */
export function rebound(bound: Bound, action: Action, control: string): Bound {
  if (control === STOP_KEY) return bound
  const own = action === 'estop' && bound.estop.includes(STOP_KEY) ? [STOP_KEY, control] : [control]
  return everyAction((each) => (each === action ? own : bound[each].filter((other) => other !== control)))
}

/** Only what differs is kept, so that a later version's defaults arrive. */
export const changesOf = (bound: Bound, defaults: Bound): Partial<Bound> =>
  Object.fromEntries(actions.filter((a) => bound[a].join() !== defaults[a].join()).map((a) => [a, bound[a]]))

/** What was kept over the defaults; what cannot be read counts as not kept. */
export function withChanges(defaults: Bound, changes: unknown): Bound {
  const kept = (changes ?? {}) as Record<string, unknown>
  return everyAction((action) => {
    const controls = kept[action]
    const fine = Array.isArray(controls) && controls.every((control) => typeof control === 'string')
    return fine ? (controls as string[]) : defaults[action]
  })
}

const NAMES: Record<string, string> = {
  ArrowUp: '↑',
  ArrowDown: '↓',
  ArrowLeft: '←',
  ArrowRight: '→',
  Escape: 'Esc',
  ShiftLeft: 'Shift',
  ShiftRight: 'right Shift',
  ControlLeft: 'Ctrl',
  ControlRight: 'right Ctrl',
  NumpadEnter: 'keypad Enter',
  b0: 'A',
  b1: 'B',
  b2: 'X',
  b3: 'Y',
  b4: 'LB',
  b5: 'RB',
  b6: 'LT',
  b7: 'RT',
  b8: 'Back',
  b9: 'Start',
  b10: 'left stick in',
  b11: 'right stick in',
  b12: 'cross ↑',
  b13: 'cross ↓',
  b14: 'cross ←',
  b15: 'cross →',
  b16: 'Home',
  'a0-': 'left stick ←',
  'a0+': 'left stick →',
  'a1-': 'left stick ↑',
  'a1+': 'left stick ↓',
  'a2-': 'right stick ←',
  'a2+': 'right stick →',
  'a3-': 'right stick ↑',
  'a3+': 'right stick ↓',
}

/** What stands on it: on this keyboard's own layout, if the browser tells. */
export function labelOf(control: string, layout?: ReadonlyMap<string, string>): string {
  const own = layout?.get(control)
  return NAMES[control] ?? own?.toUpperCase() ?? control.replace(/^(Key|Digit)/, '')
}
