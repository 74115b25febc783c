// When the page cannot be sure that a person is at it: let go.

interface Page {
  hidden: boolean
  addEventListener: EventTarget['addEventListener']
  removeEventListener: EventTarget['removeEventListener']
}

/** Call `letGo` when the window loses the focus, the tab is hidden or a gamepad is unplugged; returns how to stop. */
export function releasing(window: EventTarget, page: Page, letGo: () => void): () => void {
  const hidden = () => page.hidden && letGo()
  window.addEventListener('blur', letGo)
  window.addEventListener('gamepaddisconnected', letGo)
  page.addEventListener('visibilitychange', hidden)
  return () => {
    window.removeEventListener('blur', letGo)
    window.removeEventListener('gamepaddisconnected', letGo)
    page.removeEventListener('visibilitychange', hidden)
  }
}
