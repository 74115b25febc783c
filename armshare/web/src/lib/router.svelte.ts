// Which page is shown: the part of the address after `#`.

export type Route = { page: 'lobby' } | { page: 'watch'; robot: string } | { page: 'drive'; robot: string; task: string }

function parse(hash: string): Route {
  const [page, robot, task] = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent)
  if (page === 'watch' && robot) return { page, robot }
  return page === 'drive' && robot && task ? { page, robot, task } : { page: 'lobby' }
}

class Router {
  route = $state.raw<Route>(parse(location.hash))

  constructor() {
    addEventListener('hashchange', () => (this.route = parse(location.hash)))
  }
}

export const router = new Router()
export const lobbyHref = '#/'
export const driveHref = (robot: string, task: string): string => `#/drive/${robot}/${encodeURIComponent(task)}`
export const watchHref = (robot: string): string => `#/watch/${robot}`
