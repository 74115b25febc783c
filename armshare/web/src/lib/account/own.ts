// What somebody drove, newest first: what a search finds, and what they have withdrawn, which it does not.

import type { Api, Episode } from './api'

/** Without being signed in, or at an older hub, nothing is told of what was withdrawn. */
export async function ownEpisodes(api: Pick<Api, 'episodes' | 'withdrawn'>, operator: string, limit: number): Promise<Episode[]> {
  const [found, withdrawn] = await Promise.all([api.episodes(operator, limit), api.withdrawn(operator, limit).catch(() => [])])
  return [...found, ...withdrawn].toSorted((a, b) => b.created_ms - a.created_ms).slice(0, limit)
}
