// Numbers and names as a person reads them.

import type { Driver, EndReason } from './link/signalling'

/** An amount in the token's smallest unit, to at most `places` decimals (cut, never rounded up). */
export function amount(units: string, decimals: number, places = 4): string {
  if (!/^-?\d+$/.test(units)) return '–'
  const value = BigInt(units)
  const sign = value < 0n ? '−' : ''
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, '\u202f')
  const part = digits.slice(digits.length - decimals, digits.length - decimals + places).replace(/0+$/, '')
  return `${sign}${whole}${part ? `.${part}` : ''}`
}

export const shortAddress = (address: string): string => `${address.slice(0, 6)}…${address.slice(-4)}`
export const isWallet = (by: string): boolean => /^0x[0-9a-fA-F]{40}$/.test(by)
export const shortHash = (hash: string): string => `${hash.slice(0, 10)}…${hash.slice(-8)}`

/** 83.4 s -> "1:23" */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/** A moment to a tenth of a second: 83.44 s -> "1:23.4" */
export function momentIn(seconds: number): string {
  const tenths = Math.max(0, Math.floor(10 * seconds + 1e-6))
  return `${clock(tenths / 10)}.${tenths % 10}`
}

/** How long something lasted: "7.8 s", "1 min 7 s". */
export function lasted(seconds: number): string {
  const whole = Math.round(seconds)
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ''}`
}

/** How long a file is: "34 kB", "1.2 MB". */
export const sizeOf = (bytes: number): string => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`)

/** A wait as one would say it: 200 s -> "about 3 minutes". */
export function wait(seconds: number): string {
  const minutes = Math.round(seconds / 60)
  if (minutes < 1) return 'less than a minute'
  return minutes === 1 ? 'about a minute' : `about ${minutes} minutes`
}

/** What is left of a time, as one would count it down: never more than there is. */
export function left(seconds: number): string {
  return seconds < 60 ? `${Math.max(0, Math.floor(seconds))} s` : `${Math.floor(seconds / 60)} min`
}

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'narrow' })

export function ago(thenMs: number, nowMs: number): string {
  const seconds = Math.round((thenMs - nowMs) / 1000)
  if (Math.abs(seconds) < 60) return 'just now'
  if (Math.abs(seconds) < 3600) return RELATIVE.format(Math.round(seconds / 60), 'minute')
  if (Math.abs(seconds) < 86400) return RELATIVE.format(Math.round(seconds / 3600), 'hour')
  return RELATIVE.format(Math.round(seconds / 86400), 'day')
}

/** How much of a file there is: "34 of 120 kB", "1.2 of 3.4 MB". */
export const ofSize = (bytes: number, length: number): string =>
  length < 1e6 ? `${Math.floor(bytes / 1e3)} of ${Math.ceil(length / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} of ${(length / 1e6).toFixed(1)} MB`

/** "path_efficiency" -> "Path efficiency" */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').trim()
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const ENDINGS: Record<EndReason | 'expired' | 'refused' | 'unavailable' | 'connection_lost' | 'replaced' | 'taken_over' | 'failed' | 'unused', string> = {
  finished: 'You finished.',
  step_limit: 'Time was up: the episode reached its last step.',
  left: 'You left.',
  operator_lost: 'Your connection was lost.',
  revoked: 'The hub ended your turn.',
  estopped: 'The emergency stop ended it.',
  recorder_full: 'The recording could not keep up with the robot.',
  disk_full: "The disk of the robot's computer is full, so nothing more could be recorded.",
  recorder_failed: "The robot's computer could not record any more.",
  robot_fault: 'The robot reported a fault.',
  unstable: 'The simulation became unstable.',
  host_lost: 'The connection to the robot was lost.',
  expired: 'Your time was up, and others were waiting.',
  refused: 'The robot did not accept you as its driver.',
  unavailable: 'The robot could not be handed over just now. Try again in a moment.',
  connection_lost: 'The connection to the hub was lost.',
  replaced: 'Another window with the same wallet took over.',
  taken_over: 'You took this drive over in another window, where it goes on.',
  failed: 'Something broke on this page.',
  unused: 'Nobody used the robot for a while, so it was given back.',
}

/** Who or what drove, as one says it: "by a person", "by the policy my_policy:act"; empty if nobody said. */
export function drivenBy(driver: Driver | null | undefined): string {
  if (!driver) return ''
  if (driver.kind === 'person') return 'by a person'
  const known = driver.kind === 'policy' ? 'the policy' : 'the script'
  return driver.name ? `by ${known} ${driver.name}` : `by a ${driver.kind}`
}

/** Why a drive is over, as a sentence. */
export const ending = (reason: string): string =>
  Object.hasOwn(ENDINGS, reason) ? ENDINGS[reason as keyof typeof ENDINGS] : 'The drive was ended.'

/** Whether an amount is any. */
export const paid = (units: string): boolean => /[1-9]/.test(units)
