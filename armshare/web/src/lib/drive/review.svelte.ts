// Whether an episode waits for its operator to look at it before it is handed in; kept in this browser.

const KEPT = 'armshare.review'

class Review {
  #first = $state(localStorage.getItem(KEPT) === 'first')

  get first(): boolean {
    return this.#first
  }

  set first(first: boolean) {
    this.#first = first
    localStorage.setItem(KEPT, first ? 'first' : '')
  }
}

export const review = new Review()
