import { expect, test } from 'vitest'
import { Panels } from './panels'

test('the newest is closed first, and with nothing open there is nothing to close', () => {
  const panels = new Panels()
  const closed: string[] = []
  panels.opened(() => closed.push('help'))
  panels.opened(() => closed.push('camera'))
  expect([panels.closeNewest(), panels.closeNewest(), panels.closeNewest()]).toEqual([true, true, false])
  expect(closed).toEqual(['camera', 'help'])
})

test('what was closed by its own button is not closed again, whatever was opened after it', () => {
  const panels = new Panels()
  const closed: string[] = []
  const help = panels.opened(() => closed.push('help'))
  panels.opened(() => closed.push('camera'))
  help()
  help()
  expect([panels.closeNewest(), panels.closeNewest()]).toEqual([true, false])
  expect(closed).toEqual(['camera'])
})
