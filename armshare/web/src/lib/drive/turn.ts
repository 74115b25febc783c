// Tells somebody who waits in a queue and looks elsewhere that it is their turn: by the tab's title, a chime, and a
// notification if they allowed it. Nothing is asked for here but by `allow`.

import { hubUrl } from '../hub'

interface Page {
  title: string
  hidden: boolean
  hasFocus(): boolean
  addEventListener: EventTarget['addEventListener']
  removeEventListener: EventTarget['removeEventListener']
}

const NOTES_HZ = [660, 880]
const NOTE_S = 0.18

/** Say in the page's title what happened until it is looked at again; returns whether anybody has to be told at all. */
export function titled(page: Page, window: EventTarget, title: string): boolean {
  const away = () => page.hidden || !page.hasFocus()
  if (!away()) return false
  const before = page.title
  const looked = () => {
    if (away()) return
    page.title = before
    window.removeEventListener('focus', looked)
    page.removeEventListener('visibilitychange', looked)
  }
  page.title = title
  window.addEventListener('focus', looked)
  page.addEventListener('visibilitychange', looked)
  return true
}

/** It is their turn with this robot. */
export function announceTurn(robot: string): void {
  if (!titled(document, window, `Your turn: ${robot}`)) return
  chime()
  if (permission() === 'granted') notify(`${robot} is yours now.`)
}

/** Whether notifications are allowed; null if this browser has none. */
export const permission = (): NotificationPermission | null =>
  'Notification' in window ? Notification.permission : null

/** Ask for the permission to notify: only ever because somebody pressed a button. */
export const allow = async (): Promise<NotificationPermission | null> =>
  'Notification' in window ? Notification.requestPermission() : null

function chime(): void {
  const sound = new AudioContext()
  const last = NOTES_HZ.map((hz, i) => {
    const [note, volume, at] = [sound.createOscillator(), sound.createGain(), sound.currentTime + i * NOTE_S]
    note.frequency.value = hz
    volume.gain.setValueAtTime(0.15, at)
    volume.gain.exponentialRampToValueAtTime(0.001, at + 2 * NOTE_S)
    note.connect(volume).connect(sound.destination)
    note.start(at)
    note.stop(at + 2 * NOTE_S)
    return note
  }).at(-1)
  last?.addEventListener('ended', () => void sound.close())
}

function notify(text: string): void {
  try {
    const shown = new Notification('Your turn', { body: text, icon: hubUrl('/icon.svg'), tag: 'armshare.turn' })
    shown.onclick = () => {
      window.focus()
      shown.close()
    }
  } catch {
    return // a phone's browser notifies by a service worker only; the title and the chime have said it
  }
}
