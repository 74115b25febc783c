import { expect, test } from 'vitest'
import { fetching, ordering } from './commands'

test('a researcher is told this hub, and a camera to order', () => {
  expect(fetching('https://example.org/arms/', 'lift')).toBe('armshare fetch episodes --task lift --hub https://example.org/arms')
  expect(ordering('http://127.0.0.1:8000/', 'stack')).toBe(
    'armshare export episodes/* --to stack --format lerobot --camera side --size 320x240 --hub http://127.0.0.1:8000',
  )
})
