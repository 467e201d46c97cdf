// Sets the theme before anything is painted; without a choice it is that of the system.
const chosen = (() => { try { return localStorage.getItem("hounsfield-theme") } catch { return null } })()
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen
