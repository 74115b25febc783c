// After `vite build`: writes a `.br` and a `.gz` beside every file of `dist/` that gets smaller by it. The hub serves them
// as they lie there (`teleop/hub/server/encoded.py`), so that no request costs a compression.

import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const DIST = fileURLToPath(new URL('dist', import.meta.url))
/** What an encoded file must save to be worth it: text saves two thirds, a picture or a font less than this. */
const SAVED = 0.4
/** Code is always worth it, however little of it is in a file. */
const CODE = /\.(js|css|html)$/

const encoders = {
  '.br': (data) => promisify(brotliCompress)(data, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }),
  '.gz': (data) => promisify(gzip)(data, { level: constants.Z_BEST_COMPRESSION }),
}

async function encode(file) {
  const data = await readFile(file)
  for (const [suffix, encoder] of Object.entries(encoders)) {
    const encoded = await encoder(data)
    if (encoded.length < data.length * (CODE.test(file) ? 1 : 1 - SAVED)) await writeFile(file + suffix, encoded)
  }
}

const entries = await readdir(DIST, { recursive: true, withFileTypes: true })
const files = entries.filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name))
await Promise.all(files.map((entry) => encode(join(entry.parentPath ?? entry.path, entry.name))))
