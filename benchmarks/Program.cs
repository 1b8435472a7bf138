using BenchmarkDotNet.Running;
using Diffusion.Gpu.Benchmarks;

if (args is ["roofline", .. var options])
    return Conv2DRoofline.Run(options);
if (args is ["branches", ..])
    return InceptionBranches.Run();
BenchmarkSwitcher.FromAssembly(typeof(Conv2DRoofline).Assembly).Run(args);
return 0;
