// Counts, times and sizes of data, as a person reads them. Pure.

/** 1234567 -> "1 234 567", with narrow spaces. */
export const count = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f')

/** How many were found; beyond what is counted, "10 000+". */
export const found = (total: { total: number; more: boolean }): string => `${count(total.total)}${total.more ? '+' : ''}`

export const plural = (value: number, one: string, more = `${one}s`): string => `${count(value)} ${value === 1 ? one : more}`

/** 0.873 -> "87.3" */
export const ofHundred = (share: number): string => (100 * share).toFixed(1)

/** 0.5 -> "50 %" */
export const percent = (share: number): string => `${(100 * share).toFixed(share > 0.99 && share < 1 ? 1 : 0)}\u202f%`

/** 75.2 -> "1 min 15 s"; 12.34 -> "12.3 s" */
export function length(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)}\u202fs`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)}\u202fmin ${whole % 60}\u202fs`
  return `${(seconds / 3600).toFixed(seconds < 36_000 ? 1 : 0)}\u202fh`
}

/** 12_345_678 -> "12.3 MB" */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)))
  const value = bytes / 1000 ** step
  return `${value.toFixed(step === 0 || value >= 100 ? 0 : 1)}\u202f${units[step]}`
}

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })
/** "27 Nov 2026" */
export const day = (ms: number): string => DAY.format(ms)

/** Round values that divide a range into about `steps`: 0, 5, 10, ... */
export function ticks(least: number, most: number, steps = 5): number[] {
  if (!(most > least)) return [least]
  const rough = (most - least) / steps
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough * 0.999) ?? 10) * power
  const first = Math.ceil(least / step - 1e-9)
  const last = Math.floor(most / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}
