import { expect, test } from 'vitest'
import type { Robot } from './account/api'
import { robotOf } from './lobby'

const robot = (address: string, name: string) => ({ robot: address, name }) as Robot
const robots = [robot('0xAb01', 'panda-1'), robot('0xAb02', 'arm'), robot('0xAb03', 'arm'), robot('0xAb04', 'Arm')]

test('a robot is found by its address, in whatever case, and by its name', () => {
  for (const wanted of ['0xAb01', '0xab01', 'panda-1', 'Panda-1']) expect(robotOf(robots, wanted)).toEqual({ robot: robots[0] })
})

test('a name that is written exactly counts for more than one that differs in its case', () => {
  expect(robotOf(robots, 'Arm')).toEqual({ robot: robots[3] })
})

test('of several robots of one name, none is chosen for anybody', () => {
  expect(robotOf(robots, 'arm')).toEqual({ several: [robots[1], robots[2]] })
})

test('a robot whose name is the address of another is not taken for it', () => {
  expect(robotOf([robot('0xAb09', '0xAb01'), ...robots], '0xAb01')).toEqual({ robot: robots[0] })
})

test('a robot that is not there is not there', () => {
  for (const wanted of ['', 'panda', 'panda-11', '0xAb']) expect(robotOf(robots, wanted)).toEqual({ none: true })
})
