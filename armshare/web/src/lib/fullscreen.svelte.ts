// The page alone on the screen, if the browser can: on a phone its own bars take a third of the picture.

class Fullscreen {
  on = $state(document.fullscreenElement !== null)
  readonly can = document.fullscreenEnabled ?? false

  constructor() {
    document.addEventListener('fullscreenchange', () => (this.on = document.fullscreenElement !== null))
  }

  toggle(): void {
    const asked = this.on ? document.exitFullscreen() : document.documentElement.requestFullscreen({ navigationUI: 'hide' })
    asked.catch(() => undefined) // the browser refused: the page stays as it is
  }
}

export const fullscreen = new Fullscreen()
