import { expect, test, vi } from 'vitest'
import { storage } from '../storage.testing'

vi.stubGlobal('sessionStorage', storage())
const { Interrupted } = await import('./interrupted.svelte')

test('a page that ends within an episode is told of once, by the next page of that tab', () => {
  const kept = storage()
  const first = new Interrupted(kept)
  expect(first.told).toBe(false)
  first.recording()
  expect(new Interrupted(kept).told).toBe(true)
  expect(new Interrupted(kept).told).toBe(false)
})

test('a page that ends after an episode, or before one, is not told of', () => {
  const kept = storage()
  const page = new Interrupted(kept)
  expect(new Interrupted(kept).told).toBe(false)
  page.recording()
  page.over()
  expect(new Interrupted(kept).told).toBe(false)
})

test('what is told goes with a click, and with the next episode', () => {
  const kept = storage()
  for (const heed of ['dismiss', 'recording'] as const) {
    new Interrupted(kept).recording()
    const page = new Interrupted(kept)
    expect(page.told).toBe(true)
    page[heed]()
    expect(page.told).toBe(false)
    page.over()
  }
})
