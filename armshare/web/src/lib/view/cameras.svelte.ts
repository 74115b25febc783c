// Which cameras one looks at, and whether over a thin line; kept in this browser.

const LESS = 'armshare.cameras.less'

class Cameras {
  #less = $state(localStorage.getItem(LESS) === 'less')

  /** H.264 instead of JPEG: a quarter of the data, and a picture some milliseconds later. */
  get less(): boolean {
    return this.#less
  }

  set less(less: boolean) {
    this.#less = less
    localStorage.setItem(LESS, less ? 'less' : '')
  }

  get codecs(): string[] {
    return this.#less ? ['h264', 'jpeg'] : ['jpeg', 'h264']
  }
}

export const cameras = new Cameras()
