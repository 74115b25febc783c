import { Quaternion, Vector3 } from 'three'
import { expect, test } from 'vitest'
import { still } from './input'
import { poseOf, towards, turnOf } from './servo'

const UP = new Vector3(0, 0, 1)
const HAND = poseOf([0.5, 0, 0.3, 0, 1, 0, 0])
const about = (axis: Vector3, angle: number) => new Quaternion().setFromAxisAngle(axis, angle)

test('a hand that is where it is wanted stands', () => {
  expect(towards(HAND, HAND.position.clone(), HAND.orientation.clone())).toEqual(still())
})

test('far away is full speed, near is slower', () => {
  expect(towards(HAND, new Vector3(1, 0, 0.3), null)).toEqual({ ...still(), x: 1 })
  expect(towards(HAND, new Vector3(0.5, 0.01, 0.3), null).y).toBeCloseTo(0.16)
})

test('a turn is about the axes of the base', () => {
  const axes = towards(HAND, HAND.position, about(UP, 0.1).multiply(HAND.orientation))
  expect(axes.yaw).toBeCloseTo(0.4)
  expect(axes.roll).toBeCloseTo(0)
  expect(axes.pitch).toBeCloseTo(0)
})

test('the motion is in the frame of a base that has turned', () => {
  const axes = towards(HAND, new Vector3(0.5, 1, 0.3), null, Math.PI / 2)
  expect(axes.x).toBeCloseTo(1)
  expect(axes.y).toBeCloseTo(0)
})

test('a turn goes the short way round', () => {
  expect(turnOf(about(UP, 1.5 * Math.PI)).z).toBeCloseTo(-Math.PI / 2)
  expect(turnOf(new Quaternion()).length()).toBe(0)
})
