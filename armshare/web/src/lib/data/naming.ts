// What a data set may be called, and under what it may be given. Pure.

/** As in `rewards/datasets/version.py`. */
const PART = /^[a-z0-9][a-z0-9_-]{0,38}[a-z0-9]$/

/** Why this cannot be one part of a name; null if it can. */
export function wrongPart(part: string): string | null {
  if (PART.test(part)) return null
  if (part.length < 2) return 'Two characters at least.'
  if (part.length > 40) return 'Forty characters at most.'
  return 'Small letters, digits, - and _ between them.'
}

/** "My first lifts!" -> "my-first-lifts": whole words, as many as a name that is typed may have. */
export function nameOf(title: string): string {
  const said = title
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return said.length <= LONG ? said : (/^.*(?=-)/.exec(said.slice(0, LONG + 1))?.[0] ?? said.slice(0, LONG)).replace(/-+$/, '')
}

const LONG = 28

/** SPDX's identifiers, those that most data is given under first. */
export const LICENCES: readonly { id: string; says: string }[] = [
  { id: 'CC-BY-4.0', says: 'Any use, with credit' },
  { id: 'CC0-1.0', says: 'Any use, no conditions' },
  { id: 'CC-BY-SA-4.0', says: 'Any use, with credit, under the same licence' },
  { id: 'CC-BY-NC-4.0', says: 'Not for money, with credit' },
  { id: 'CC-BY-NC-SA-4.0', says: 'Not for money, with credit, under the same licence' },
  { id: 'CDLA-Permissive-2.0', says: 'Any use of the data and its results' },
  { id: 'ODbL-1.0', says: 'Any use, with credit; databases under the same licence' },
  { id: 'Apache-2.0', says: 'Any use, with its notices' },
]

/** Shares in percent -> parts of one that add up to one exactly; null if they do not add up to 100. */
export function sharesOf(train: number, validation: number, test: number): { train: number; validation: number; test: number } | null {
  if (![train, validation, test].every((each) => Number.isFinite(each) && each >= 0)) return null
  return Math.abs(train + validation + test - 100) < 1e-6 ? { train: train / 100, validation: validation / 100, test: test / 100 } : null
}
