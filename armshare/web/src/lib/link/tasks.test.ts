import { expect, test } from 'vitest'
import { Session, type View } from '../drive/session'
import { atTask, type Descriptor, sameSetting } from './descriptor'

const array = (name: string, size: number) => ({ name, shape: [size], unit: 'm', doc: '' })
const task = (name: string) => ({ name, version: 1, instruction: '', stages: [], max_steps: 1 })
const pushed = { observation: [array('cube_pose', 7), array('goal_pose', 7)], scene: { bodies: [] }, engine: {} }
const robot = {
  name: 'panda-1',
  observation: [array('cube_pose', 7)],
  scene: { bodies: [] },
  tasks: [task('lift'), { ...task('push'), setting: pushed }],
} as unknown as Descriptor

test('a robot is as its own fields say at the first task, and as the setting says at a later one', () => {
  expect(atTask(robot, 'lift')).toBe(robot)
  expect(atTask(robot, null)).toBe(robot)
  expect(atTask(robot, 'juggle')).toBe(robot)
  const there = atTask(robot, 'push')
  expect(there.observation).toBe(pushed.observation)
  expect(there.scene).toBe(pushed.scene)
  expect(there.name).toBe('panda-1')
  expect(sameSetting(there, robot)).toBe(false)
  expect(sameSetting(there, atTask(structuredClone(robot), 'push'))).toBe(true)
})

test('a spectator keeps what the robot is like now, and hears of it again when it changes', () => {
  const views: View[] = []
  const session = new Session(() => {}, (view) => views.push(view))
  const hears = (message: object) => session.received(JSON.stringify(message))
  session.opened(2, 'T')
  hears({ type: 'welcome', protocol: 2, address: '0xA', nonce: '0x1' })
  session.watch('0xR')
  expect(session.view.watched).toBeNull()
  hears({ type: 'watching', robot, task: task('lift'), epoch: 0 })
  expect(session.view.watched).toMatchObject({ task: { name: 'lift' }, epoch: 0 })
  hears({ type: 'watching', robot: atTask(robot, 'push'), task: task('push'), epoch: 7 })
  expect(session.view.phase).toBe('watching')
  expect(session.view.watched?.robot.observation).toHaveLength(2)
  expect(session.view.watched?.epoch).toBe(7)
})
