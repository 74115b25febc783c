// The addresses of the pages: the part after `#`. Pure; `router.svelte.ts` holds the one that is shown.

export type Route =
  | { page: 'lobby' }
  | { page: 'rules' }
  | { page: 'watch'; robot: string }
  | { page: 'drive'; robot: string; task: string }
  | { page: 'episode'; episode: string }
  | { page: 'unknown'; address: string }

/** Pages that are reached from every other one; a later page joins by its line here. */
export const MENU: readonly { page: Route['page']; label: string; href: string }[] = [
  { page: 'lobby', label: 'Robots', href: '#/' },
  { page: 'rules', label: 'Rules and pay', href: '#/rules' },
]

export const lobbyHref = '#/'
export const rulesHref = '#/rules'
/** `robot` is an address or a name. */
export const driveHref = (robot: string, task: string): string => `#/drive/${encodeURIComponent(robot)}/${encodeURIComponent(task)}`
export const episodeHref = (episode: string): string => `#/episode/${encodeURIComponent(episode)}`
export const watchHref = (robot: string): string => `#/watch/${encodeURIComponent(robot)}`

/** Which page an address names. One that cannot be read, or that names no page, is `unknown`. */
export function parse(hash: string): Route {
  const address = hash.replace(/^#/, '')
  const parts = decoded(address.replace(/^\//, '').replace(/\/$/, '').split('/'))
  if (!parts) return { page: 'unknown', address }
  const [page, robot, task, ...more] = parts
  if (page === '' && robot === undefined) return { page: 'lobby' }
  if (page === 'rules' && robot === undefined) return { page }
  if (page === 'watch' && robot && task === undefined) return { page, robot }
  if (page === 'drive' && robot && task && more.length === 0) return { page, robot, task }
  if (page === 'episode' && robot && task === undefined) return { page, episode: robot }
  return { page: 'unknown', address }
}

function decoded(parts: string[]): string[] | null {
  try {
    return parts.map(decodeURIComponent)
  } catch {
    return null
  }
}
