// The addresses of the pages: the part after `#`. Pure; `router.svelte.ts` holds the one that is shown.

export type Route =
  | { page: 'lobby' }
  | { page: 'rules' }
  | { page: 'review' }
  | { page: 'watch'; robot: string }
  | { page: 'drive'; robot: string; task: string }
  | { page: 'episode'; episode: string }
  /** `query` is what stands behind the question mark, as it stands there. */
  | { page: 'data'; query: string }
  | { page: 'sets'; query: string }
  /** `version` is null for the newest. */
  | { page: 'dataset'; name: string; version: number | null }
  | { page: 'unknown'; address: string }

/** What is reached from every page, and which pages belong to each; a later one joins by its line here. */
export const MENU: readonly { label: string; href: string; pages: readonly Route['page'][] }[] = [
  { label: 'Drive', href: '#/', pages: ['lobby'] },
  { label: 'Data', href: '#/data', pages: ['data', 'sets', 'dataset'] },
  { label: 'Rules and pay', href: '#/rules', pages: ['rules'] },
]

/** Joins the menu of those whom the hub asks to review. */
export const REVIEW: (typeof MENU)[number] = { label: 'Review', href: '#/review', pages: ['review'] }

export const lobbyHref = '#/'
export const rulesHref = '#/rules'
/** `robot` is an address or a name. */
export const driveHref = (robot: string, task: string): string => `#/drive/${encodeURIComponent(robot)}/${encodeURIComponent(task)}`
export const episodeHref = (episode: string): string => `#/episode/${encodeURIComponent(episode)}`
export const dataHref = (query = ''): string => `#/data${query && '?'}${query}`
export const setsHref = (query = ''): string => `#/data/sets${query && '?'}${query}`
export const datasetHref = (name: string, version?: number): string => `#/data/${name}${version === undefined ? '' : `/${version}`}`
export const watchHref = (robot: string): string => `#/watch/${encodeURIComponent(robot)}`

/** Which page an address names. One that cannot be read, or that names no page, is `unknown`. */
export function parse(hash: string): Route {
  const address = hash.replace(/^#/, '')
  if (/^\/data(?![^/?])/.test(address)) return parseData(address)
  const parts = decoded(address.replace(/^\//, '').replace(/\/$/, '').split('/'))
  if (!parts) return { page: 'unknown', address }
  const [page, robot, task, ...more] = parts
  if (page === '' && robot === undefined) return { page: 'lobby' }
  if ((page === 'rules' || page === 'review') && robot === undefined) return { page }
  if (page === 'watch' && robot && task === undefined) return { page, robot }
  if (page === 'drive' && robot && task && more.length === 0) return { page, robot, task }
  if (page === 'episode' && robot && task === undefined) return { page, episode: robot }
  return { page: 'unknown', address }
}

/** Of the pages about data, whose addresses say what is searched for too. */
function parseData(address: string): Route {
  const [path = '', query = ''] = address.split(/\?(.*)/s)
  const parts = decoded(path.replace(/^\/data\/?/, '').replace(/\/$/, '').split('/'))
  const [space, name, version, ...more] = parts ?? ['?']
  if (space === '') return { page: 'data', query }
  if (space === 'sets' && name === undefined) return { page: 'sets', query }
  if (space && name && more.length === 0 && (version === undefined || /^[1-9]\d{0,8}$/.test(version)))
    return { page: 'dataset', name: `${space}/${name}`, version: version === undefined ? null : Number(version) }
  return { page: 'unknown', address }
}

function decoded(parts: string[]): string[] | null {
  try {
    return parts.map(decodeURIComponent)
  } catch {
    return null
  }
}
