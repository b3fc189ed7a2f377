# Whoever logs in to the course's machine is in the checkout.
if [ -n "${PS1:-}" ] && [ "$PWD" = "$HOME" ] && [ -d /vagrant ]; then
    cd /vagrant || :
    echo "The course: make lab1 … lab5, make grade, make notebook, make help. The engine: sudo pyctr_lite run -it --rm busybox"
fi
