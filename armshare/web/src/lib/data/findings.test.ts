import { expect, test } from 'vitest'
import { type Api, ApiError } from '../account/api'
import { Findings } from './findings.svelte'

/** A hub that cannot answer the first search. */
function away(): [Api, string[]] {
  const asked: string[] = []
  const ask = (_method: string, path: string) => {
    asked.push(path)
    if (path.startsWith('/api/episodes/words')) return Promise.resolve({})
    if (asked.filter((one) => one.startsWith('/api/episodes?')).length === 1) return Promise.reject(new ApiError('unavailable', 'away', 503))
    return Promise.resolve({ episodes: [{ episode: 'a' }], next: null, total: 1, more: false })
  }
  return [{ ask } as unknown as Api, asked]
}

test('who comes back to a search that failed has it done again, and one that worked is kept', async () => {
  const [api, asked] = away()
  const findings = new Findings(api)
  await findings.look({ task: 'lift' })
  expect(findings.trouble?.code).toBe('unavailable')
  await findings.look({ task: 'lift' })
  expect(findings.trouble).toBeNull()
  expect(findings.rows).toHaveLength(1)
  const before = asked.length
  await findings.look({ task: 'lift' })
  expect(asked).toHaveLength(before)
})
