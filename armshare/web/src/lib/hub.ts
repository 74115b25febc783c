// Where the hub is: the folder that this page came from, which may be below a path of its site.

/** Such as "https://example.org/arms/"; a worker has no document, and is told its addresses. */
const root = (): URL => new URL('.', document.baseURI)

/** The address of one of the hub's own paths, such as "/api/config". */
export const hubUrl = (path: string): string => below(root(), path)

/** The address of one of the hub's websockets, such as "/ws/drive". */
export const hubSocket = (path: string): string => socketBelow(root(), path)

export const below = (folder: URL, path: string): string => new URL(path.replace(/^\/+/, ''), folder).href

export function socketBelow(folder: URL, path: string): string {
  const url = new URL(below(folder, path))
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}
