import { BufferGeometry, SphereGeometry } from 'three'
import { expect, test } from 'vitest'
import { bySoftware } from './graphics'
import { simplified } from './simplify'

const triangles = (geometry: BufferGeometry): number =>
  (geometry.index?.count ?? geometry.getAttribute('position').count) / 3

test('a fine mesh keeps its shape with a tenth of its triangles', async () => {
  const fine = new SphereGeometry(0.1, 64, 64)
  const coarse = await simplified(fine)
  expect(triangles(coarse)).toBeLessThan(0.12 * triangles(fine))
  expect(triangles(coarse)).toBeGreaterThan(100)
  const position = coarse.getAttribute('position')
  for (let i = 0; i < position.count; i++)
    expect(Math.hypot(position.getX(i), position.getY(i), position.getZ(i))).toBeCloseTo(0.1, 4)
  coarse.computeBoundingSphere()
  expect(coarse.boundingSphere?.radius).toBeCloseTo(0.1, 2)
  expect(coarse.getAttribute('normal').count).toBe(position.count)
})

test('a mesh without an index, of two materials, keeps both', async () => {
  const fine = new SphereGeometry(0.1, 64, 64).toNonIndexed()
  const count = fine.getAttribute('position').count
  const half = 3 * Math.floor(count / 6)
  fine.addGroup(0, half, 1)
  fine.addGroup(half, count - half, 0)
  const coarse = await simplified(fine)
  expect(coarse.groups.map((group) => group.materialIndex)).toEqual([1, 0])
  expect(coarse.groups.reduce((sum, group) => sum + group.count, 0)).toBe(3 * triangles(coarse))
  for (const group of coarse.groups) expect(group.count).toBeGreaterThan(0)
})

test('a small mesh stays as it is', async () => {
  const small = new SphereGeometry(0.1, 8, 8)
  expect(await simplified(small)).toBe(small)
})

test.each([
  ['ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)), SwiftShader driver)', true],
  ['llvmpipe (LLVM 15.0.6, 256 bits)', true],
  ['ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11)', true],
  ['ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11)', false],
  ['Apple M2', false],
  ['', false],
])('%s: drawn by software %s', (name, software) => expect(bySoftware(name)).toBe(software))
