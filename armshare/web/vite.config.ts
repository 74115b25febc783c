import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

const HUB = 'http://127.0.0.1:8000'

// The hub serves `/assets/models`, so the bundle's own files live in `static/`. They find each other by relative
// addresses, so that the page works below any path of a site.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: { assetsDir: 'static', target: 'es2023', chunkSizeWarningLimit: 1200 },
  worker: { format: 'es' },
  server: {
    proxy: { '/api': HUB, '/assets': HUB, '/ws': { target: HUB, ws: true } },
    fs: { allow: ['../..'] },
  },
  // One context for all files: loading the page's modules for each took nine tenths of the time.
  test: { include: ['src/**/*.test.ts'], environment: 'node', isolate: false },
})
