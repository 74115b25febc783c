import { expect, test } from 'vitest'
import { below, socketBelow } from './hub'

test.each([
  ['http://127.0.0.1:8000/', 'http://127.0.0.1:8000/api/config', 'ws://127.0.0.1:8000/ws/drive'],
  ['https://example.org/arms/', 'https://example.org/arms/api/config', 'wss://example.org/arms/ws/drive'],
  ['http://[::1]:8000/a/b/', 'http://[::1]:8000/a/b/api/config', 'ws://[::1]:8000/a/b/ws/drive'],
])('the hub of a page at %s is reached below it', (folder, api, socket) => {
  expect(below(new URL(folder), '/api/config')).toBe(api)
  expect(socketBelow(new URL(folder), '/ws/drive')).toBe(socket)
})

test('no path of the hub leads to another site', () => {
  expect(below(new URL('https://example.org/arms/'), '//evil.example/x')).toBe('https://example.org/arms/evil.example/x')
})
