// Which episodes are chosen: one by one, a stretch of them with shift, or all that a search finds. Pure: each change gives a
// new one.

export interface Selection {
  /** Everything that the search finds, also what is not shown yet; `chosen` has then no say. */
  all: boolean
  chosen: ReadonlySet<string>
  /** Where a stretch begins: what was chosen or left out last. */
  anchor: string | null
}

export const NOTHING: Selection = { all: false, chosen: new Set(), anchor: null }

/** Choose one, or leave it out again; with `stretch`, all from the last one to it, as that one is now. */
export function toggled(selection: Selection, episode: string, shown: readonly string[], stretch = false): Selection {
  const chosen = new Set(selection.all ? shown : selection.chosen)
  const from = stretch && selection.anchor !== null ? shown.indexOf(selection.anchor) : -1
  const to = shown.indexOf(episode)
  const choose = from >= 0 ? chosen.has(selection.anchor as string) : !chosen.has(episode)
  const wanted = from >= 0 && to >= 0 ? shown.slice(Math.min(from, to), Math.max(from, to) + 1) : [episode]
  for (const each of wanted) choose ? chosen.add(each) : chosen.delete(each)
  return { all: false, chosen, anchor: episode }
}

export const everything = (): Selection => ({ all: true, chosen: new Set(), anchor: null })

export const has = (selection: Selection, episode: string): boolean => selection.all || selection.chosen.has(episode)

/** How many are chosen, of what is found. */
export const many = (selection: Selection, total: number): number => (selection.all ? total : selection.chosen.size)
