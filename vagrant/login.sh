# A login shell of the course's VM starts in the checkout.
if [ -n "${PS1:-}" ] && [ "$PWD" = "$HOME" ] && [ -d /vagrant ]; then
    cd /vagrant || :
    echo "The course: make lab1 to make lab7, make grade, make notebook, make help. The engine: sudo pyctr_lite run -it --rm busybox"
fi
