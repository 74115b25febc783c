import '@fontsource-variable/geist-mono/index.css'
import '@fontsource-variable/instrument-sans/standard.css'
import { mount } from 'svelte'
import App from './App.svelte'
import './app.css'
import { drawsBySoftware } from './lib/view/graphics'

const target = document.getElementById('app')
if (!target) throw new Error('expected an element with the id "app" in index.html')
document.documentElement.classList.toggle('plain', drawsBySoftware())
mount(App, { target })
