// Whose a key is: while a robot is driven, the robot's, wherever the focus is, unless somebody writes text there.

/** What is asked of the element that has the focus. */
export interface Focused {
  readonly tagName: string
  /** Of an input. */
  readonly type?: string | undefined
  readonly isContentEditable?: boolean | undefined
}

/** Inputs in which nobody writes. */
const WITHOUT_TEXT = new Set(['button', 'checkbox', 'color', 'file', 'image', 'radio', 'range', 'reset', 'submit'])
const CONTROLS = new Set(['A', 'BUTTON', 'INPUT', 'SUMMARY'])
/** What presses a control that has the focus, or moves a slider. */
const PRESSING = new Set(['Space', 'Enter', 'NumpadEnter', 'ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight'])

/** Whether somebody writes, or chooses from a list, there: all keys but the stop are its own. */
export function writes({ tagName, type, isContentEditable }: Focused): boolean {
  if (tagName === 'INPUT') return !WITHOUT_TEXT.has(type ?? 'text')
  return tagName === 'TEXTAREA' || tagName === 'SELECT' || isContentEditable === true
}

/** Whether a key that is bound to something is obeyed, and not left to what has the focus. */
export function obeyed(code: string, focused: Focused | null, live: boolean): boolean {
  if (!focused) return true
  if (writes(focused)) return false
  return live || !(CONTROLS.has(focused.tagName) && PRESSING.has(code))
}
