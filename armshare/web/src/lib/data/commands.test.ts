import { expect, test } from 'vitest'
import { cloning, downloading, fetching, loading, ordering } from './commands'

test('a researcher is told this hub, and a camera to order', () => {
  expect(fetching('https://example.org/arms/', 'lift')).toBe('armshare fetch episodes --task lift --hub https://example.org/arms')
  expect(ordering('http://127.0.0.1:8000/', 'stack')).toBe(
    'armshare export episodes/* --to stack --format lerobot --camera side --size 320x240 --hub http://127.0.0.1:8000',
  )
})

test('a data set is loaded from this hub, in the version that is looked at', () => {
  expect(downloading('https://example.org/arms/', 'lab/lift', 2)).toBe('armshare download lab/lift@2 --hub https://example.org/arms')
  expect(loading('https://example.org/', 'lab/lift', 2)).toContain('os.environ["HF_ENDPOINT"] = "https://example.org"\n')
  expect(loading('https://example.org/', 'lab/lift', 2)).toContain('LeRobotDataset("lab/lift", revision="version-2")')
  expect(cloning('https://example.org/', 'lab/lift', 2)).toBe('HF_ENDPOINT=https://example.org hf download lab/lift --repo-type dataset --revision version-2')
})
