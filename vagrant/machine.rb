# What the Vagrantfile asks of the laptop: the port, the driver, and the way a learner's files take.
require "fileutils"
require "json"
require "rbconfig"
require "socket"

module Machine
  CHECKOUT = File.expand_path("..", __dir__)
  OWN_BOX = File.join(CHECKOUT, "build/box/box.json")
  WORK = %w[/labs/ /notebooks/].freeze
  # The folders that learners write to.
  NEVER_COPIED = %w[/.git /.venv/ /.vagrant/ /build/ __pycache__/ .ipynb_checkpoints/ .pytest_cache/ .mypy_cache/
                    .ruff_cache/ .import_linter_cache/ .hypothesis/].freeze
  PORTS = (8888..8907).freeze

  module_function

  # A file of ours about this checkout's machine, on the laptop.
  def file(name)
    directory = File.join(CHECKOUT, ".vagrant/pyctr")
    FileUtils.mkdir_p(directory)
    File.join(directory, name)
  end

  def arm?
    RbConfig::CONFIG["host_cpu"].match?(/arm|aarch64/)
  end

  # KVM where this user may use it; PYCTR_VM_DRIVER where that is known better.
  def libvirt_driver
    ENV["PYCTR_VM_DRIVER"] || (File.writable?("/dev/kvm") ? "kvm" : "qemu")
  end

  def own_version
    JSON.parse(File.read(OWN_BOX)).dig("versions", 0, "version")
  end

  # Whether libvirt has to copy the folder: it cannot share it without virtiofsd.
  def copies?
    return ENV["PYCTR_VM_SYNC"] == "rsync" if ENV["PYCTR_VM_SYNC"]

    %w[/usr/libexec /usr/lib/qemu /usr/lib].none? { |place| File.exist?("#{place}/virtiofsd") }
  end

  # For libvirt: a free port, and the same one as long as the machine has it.
  def host_port
    saved = file("port")
    port = File.exist?(saved) ? File.read(saved).to_i : 0
    return port if PORTS.include?(port) && (forwarding?(port) || free?(port))

    port = PORTS.find { |candidate| free?(candidate) } || PORTS.first
    File.write(saved, port.to_s)
    port
  end

  def free?(port)
    TCPServer.new("127.0.0.1", port).close
    true
  rescue SystemCallError
    false
  end

  # Whether the port is taken by this machine's own forwarding.
  def forwarding?(port)
    pid = File.read(File.join(CHECKOUT, ".vagrant/machines/default/libvirt/pids/ssh_#{port}.pid")).to_i
    pid.positive? && Process.kill(0, pid) == 1
  rescue SystemCallError
    false
  end

  def copying?(machine)
    machine.config.vm.synced_folders["/vagrant"]&.fetch(:type, nil).to_s == "rsync"
  end

  # After `up`: how `make` reaches the machine, the learner's files in it, and where JupyterLab is.
  def ready(machine)
    return unless machine.state.id == :running

    write_ssh_config(machine)
    if copying?(machine)
      File.write(file("holds-work"), "")
      exchange(machine)
    end
    machine.communicate.sudo("echo #{port_of(machine)} >/var/lib/pyctr_vm/port; systemctl start pyctr-notebook")
    machine.communicate.sudo("pyctr-vm-url") { |_stream, text| machine.ui.success(text.strip) unless text.strip.empty? }
  end

  # Before whatever stops the machine or writes to it: bring the learner's files home, or refuse to go on.
  def save_work(machine)
    return if !copying?(machine) || ENV["PYCTR_VM_DISCARD"]

    if machine.state.id == :running
      exchange(machine)
    elsif File.exist?(file("holds-work"))
      refuse(machine, "This machine went down without bringing home what was edited in it. Start it once more: " \
                      "vagrant up does so.")
    end
  end

  def exchange(machine)
    write_ssh_config(machine)
    return if system("sh", File.join(CHECKOUT, "vagrant/exchange.sh"), file("ssh-config"))

    refuse(machine, "What was edited in the machine could not be brought home, so nothing else is done.")
  end

  def refuse(machine, why)
    machine.ui.error("#{why} Or give those edits up: PYCTR_VM_DISCARD=1 in the environment.")
    exit(1)
  end

  # After `halt`: all that was edited is home.
  def halted
    FileUtils.rm_f(file("holds-work"))
  end

  def forget
    %w[holds-work ssh-config port console.log].each { |name| FileUtils.rm_f(file(name)) }
  end

  def port_of(machine)
    if machine.provider_name != :libvirt && machine.provider.capability?(:forwarded_ports)
      machine.provider.capability(:forwarded_ports).each { |host, guest| return host if guest == 8888 }
    end
    host_port
  end

  def write_ssh_config(machine)
    info = machine.ssh_info
    lines = ["Host vm", "  HostName #{info[:host]}", "  Port #{info[:port]}", "  User #{info[:username]}",
             "  UserKnownHostsFile /dev/null", "  StrictHostKeyChecking no", "  PasswordAuthentication no",
             "  IdentitiesOnly yes", "  LogLevel ERROR", "  ConnectTimeout 20", "  ServerAliveInterval 30"]
    lines += info[:private_key_path].map { |path| "  IdentityFile \"#{path}\"" }
    lines << "  ProxyCommand #{info[:proxy_command]}" if info[:proxy_command]
    File.write(file("ssh-config"), lines.join("\n") + "\n")
  end
end
