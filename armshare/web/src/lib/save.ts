// A text, or bytes, as a file on this person's own disk.

export const saveFile = (name: string, text: string, type = 'application/json'): void => save(name, new Blob([text], { type }))

export const saveBytes = (name: string, bytes: Uint8Array<ArrayBuffer>): void => save(name, new Blob([bytes], { type: 'application/octet-stream' }))

function save(name: string, what: Blob): void {
  const url = URL.createObjectURL(what)
  Object.assign(document.createElement('a'), { href: url, download: name }).click()
  URL.revokeObjectURL(url)
}
